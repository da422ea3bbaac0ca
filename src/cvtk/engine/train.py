"""From data and options to trained weights."""

from __future__ import annotations

import contextlib
import copy
import datetime
import functools
import gc
from collections.abc import Iterator, Mapping
from typing import Any

from cvtk.analysis.evaluation import Evaluation
from cvtk.analysis.thresholds import Thresholds
from cvtk.data import Dataset
from cvtk.data.reading import Reading
from cvtk.engine.card import Done, write_card
from cvtk.engine.choose import choose_and_keep
from cvtk.engine.configure import configure
from cvtk.engine.corrections import correct_heads
from cvtk.engine.devices import pick_device
from cvtk.engine.evaluate import evaluate_to_files
from cvtk.engine.layout import quick_layout
from cvtk.engine.lean_masks import use_lean_masks
from cvtk.engine.predict import Predictor
from cvtk.engine.processes import (
    end_workers,
    join_processes,
    spared_by_garbage_collection,
)
from cvtk.engine.quiet import quiet_libraries
from cvtk.engine.spec import ModelSpec, open_weights
from cvtk.engine.start import fetch_backbones, load_named, start_weights
from cvtk.engine.thresholds import keep
from cvtk.engine.trackers import tracker_named
from cvtk.engine.training_data import TrainingData, prepare_data
from cvtk.engine.weights import checked_loading, read_weights
from cvtk.engine.workspace import (
    best_checkpoint,
    checkpoints,
    newest_checkpoint,
    opened_workspace,
)
from cvtk.errors import CvtkError, OptionError, stopped_by_user
from cvtk.io import atomic_write
from cvtk.log import console, logger
from cvtk.options import TrainOptions
from cvtk.visual.training_stats import write_training_stats


def train(
    spec: ModelSpec,
    options: TrainOptions,
    sets: Mapping[str, Dataset] | None = None,
    cuts: Thresholds | None = None,
) -> tuple[ModelSpec, Evaluation | None]:
    """Trains; leaves the weights, their configuration, the statistics and plots.

    Args:
        spec: The architecture and its classes.
        options: The user's choices.
        sets: The data sets, where they are not to be read; see `prepare_data`.
        cuts: The scores to cut at that the weights shall have; chosen on the validation set where left out.

    Returns:
        The trained model, and its statistics on the test set; None where there is no such set. With several
        processes, those of the first; the others get what they came with.

    Raises:
        CvtkError: Data, weights or options that cannot be used; the message says why.
    """
    from mmengine import dist

    started = datetime.datetime.now(datetime.timezone.utc)
    with quiet_libraries():
        device = join_processes(pick_device(options.device))
    if options.print_config:
        show_config(spec, options, device)
        return spec, None
    main = dist.is_main_process()
    with opened_workspace(options) if main else contextlib.nullcontext():
        with quick_layout(), spared_by_garbage_collection():
            cfg, best, data, threads = run(spec, options, device, sets)
            gc.collect()  # the parts of a training know each other, so that its memory is not free by itself
            if not main or data is None:
                return spec, None
            resumed = bool(cfg.get("resume"))  # which is not a part of what is written
            write_results(cfg, best, options)
        trained = open_weights(options.output, options.trust_weights)
        if cuts is not None:
            keep(cuts, trained)
        tested, thresholds = judge(trained, data, options)
        processes = dist.get_world_size()
        write_card(
            Done(
                spec,
                options,
                cfg,
                data,
                device,
                processes,
                threads,
                started,
                resumed,
                thresholds or cuts,
                tested.study if tested is not None else None,
            )
        )
        return trained, tested


def judge(
    trained: ModelSpec, data: TrainingData, options: TrainOptions
) -> tuple[Evaluation | None, Thresholds | None]:
    """Chooses the scores to cut at on the validation set, and evaluates on the test set, as far as there are such.

    Returns:
        The evaluation on the test set, and the scores.
    """
    if data.valid is None and data.test is None:
        return None, None
    predictor = Predictor(trained, options.device)
    if data.valid is not None:
        choose_and_keep(predictor, data.valid, options.aim)
    if data.test is None:
        return None, predictor.thresholds
    name = options.output.with_suffix("")
    tested = evaluate_to_files(
        predictor,
        data.test,
        folder=name,
        stats_file=name.with_name(f"{name.name}.test_stats.json"),
        force=True,
    )
    return tested, predictor.thresholds


def show_config(spec: ModelSpec, options: TrainOptions, device: str) -> None:
    """Prints the complete configuration, and writes nothing."""
    from mmengine import dist

    if not dist.is_main_process():
        return
    load = functools.partial(load_named, trust=options.trust_weights)
    with quiet_libraries(), checked_loading(load):
        data = prepare_data(spec, options)
        with choices_named(options):
            cfg = configure(spec, data, options, device, dist.get_world_size())
    with quick_layout():
        print(cfg.pretty_text, file=console())


def run(
    spec: ModelSpec,
    options: TrainOptions,
    device: str,
    sets: Mapping[str, Dataset] | None = None,
) -> tuple[Any, str | None, TrainingData | None, int]:
    """Trains, in this process or several; the first one prepares all.

    Returns:
        The complete configuration, the best checkpoint as the training noted it, and the data sets; None of
        these in the other processes. And with how many threads it computed on the processor.
    """
    import torch
    from mmengine import dist

    from cvtk.engine.follow import FollowHook

    cfg, data = None, None
    load = functools.partial(load_named, trust=options.trust_weights)
    with quiet_libraries(), checked_loading(load):
        if dist.is_main_process():
            data = prepare_data(spec, options, sets)
            with choices_named(options):
                cfg = configure(spec, data, options, device, dist.get_world_size())
                set_start(cfg, spec, options)
        shared = [cfg]
        dist.broadcast_object_list(shared)
        cfg = shared[0]
        with tracker_named(options), choices_named(options):
            runner = build_runner(cfg, device, options.balance)
            if options.progress is not None:
                runner.register_hook(FollowHook(options.progress))
            threads = torch.get_num_threads()
            try:
                runner.train()
            finally:
                end_workers(runner)
                # These hold for the whole process, and were set for the training alone.
                used = torch.get_num_threads()
                torch.set_num_threads(threads)
                torch.set_flush_denormal(False)
    return cfg, runner.message_hub.get_info("best_ckpt", None), data, used


def set_start(cfg: Any, spec: ModelSpec, options: TrainOptions) -> None:
    """Sets where the weights come from: a checkpoint to resume from, or trained ones."""
    fetch_backbones(cfg, options.trust_weights)
    if options.resume and checkpoints(options.workspace):
        cfg.resume = True
        cfg.load_from = str(newest_checkpoint(options.workspace))
        logger.info(f"Goes on from {cfg.load_from}.")
    elif options.weights not in ("none", "imagenet"):
        cfg.load_from = start_weights(
            cfg, spec.config, options.weights, options.trust_weights
        )


@contextlib.contextmanager
def choices_named(options: TrainOptions) -> Iterator[None]:
    """Names the keys of the configuration that the user set, where the training fails with them.

    Raises:
        OptionError: It fails.
    """
    chosen = [f"--set {pair}" for pair in options.set]
    if options.frozen_stages is not None:  # which not every backbone has
        chosen.append(f"frozen_stages = {options.frozen_stages}")
    try:
        yield
    except (CvtkError, OSError):
        raise
    except Exception as error:  # whatever a value that does not fit leads to
        if not chosen or stopped_by_user(error):
            raise
        problem = " ".join(str(error).split())[:300] or type(error).__name__
        raise OptionError(
            f"With {', '.join(chosen)}, the training fails: {problem}.",
            "Look at what there is with --print_config.",
        ) from error


def build_runner(cfg: Any, device: str, balance: bool = False) -> Any:
    """MMEngine's Runner, ready to train, with cvtk's hooks.

    Args:
        cfg: The complete configuration, which is left as it is.
        device: What it trains on.
        balance: Whether images with rare classes are seen more often.
    """
    from mmengine.utils import import_modules_from_strings

    from cvtk.engine.balance import BalancedSampler
    from cvtk.engine.coco_metric import CvtkCocoMetric
    from cvtk.engine.cpu_precision import CPUAmpOptimWrapper
    from cvtk.engine.images import KEPT, read_as_displayed
    from cvtk.engine.runner import TrainingRunner
    from cvtk.engine.training_masks import load_training_masks

    run_cfg = copy.deepcopy(cfg)
    if cfg.get("custom_imports"):  # in a process that has not fitted the configuration
        import_modules_from_strings(**cfg.custom_imports)
    hooks = own_hooks(run_cfg)
    read_as_displayed(run_cfg._cfg_dict, Reading.noted_in(cfg), keep=KEPT)
    load_training_masks(run_cfg._cfg_dict)
    if balance:
        run_cfg.train_dataloader.sampler.type = BalancedSampler
    if cfg.val_evaluator is not None:  # quicker, and with memory for the objects alone
        run_cfg.val_evaluator.type = CvtkCocoMetric
    if device == "cpu" and cfg.optim_wrapper.type == "AmpOptimWrapper":
        run_cfg.optim_wrapper.type = CPUAmpOptimWrapper
    runner = TrainingRunner.from_cfg(run_cfg)
    runner.cfg = cfg  # what checkpoints record: MMDetection can build it alone
    runner.model = runner.model.to(device)
    correct_heads(runner.model)
    use_lean_masks(runner.model)
    for hook in hooks:
        runner.register_hook(hook)
    return runner


def own_hooks(cfg: Any) -> list[Any]:
    """The hooks that cvtk adds to those of the configuration; takes from it the one that it replaces."""
    from cvtk.engine import hooks

    found = [hooks.GuardHook(), hooks.ProgressHook(), hooks.ClassMetricsHook()]
    best = cfg.default_hooks.checkpoint.save_best
    found.append(hooks.StatsHook(list(cfg.test_evaluator.metric), best))
    found.append(hooks.CPUSpeedHook())
    if cfg.resume:
        found += [hooks.ResumeHook(), hooks.ValidateFirstHook()]
    for hook in list(cfg.get("custom_hooks") or []):
        if hook["type"] == "EarlyStoppingHook":
            cfg.custom_hooks.remove(hook)
            arguments = {key: hook[key] for key in hook if key != "type"}
            arguments["monitor"] = best
            found.append(hooks.PatienceHook(**arguments))
    return found


def write_results(cfg: Any, noted_best: str | None, options: TrainOptions) -> None:
    """Writes the weights of the best epoch, their configuration, the statistics and plots.

    Args:
        cfg: The complete configuration.
        noted_best: The checkpoint of the best epoch, as the training noted it; None without validation.
        options: The user's choices.
    """
    import torch

    cfg.update(resume=False, load_from=None, launcher="none")
    cfg.pop("model_wrapper_cfg", None)
    write_training_stats(
        options.workspace,
        cfg.test_evaluator.metric,
        best_by=cfg.default_hooks.checkpoint.save_best,
    )
    best = read_weights(best_checkpoint(options.workspace, noted_best))
    configuration = options.output.with_suffix(".py")
    with (
        atomic_write(configuration, force=True) as config_part,
        atomic_write(options.output, force=True) as part,
    ):
        cfg.dump(config_part)
        torch.save({key: best[key] for key in ("meta", "state_dict")}, part)
