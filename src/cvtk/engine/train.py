"""From a configuration to weights."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, TextIO

from cvtk.engine.progress import show_progress
from cvtk.visual.curves import write_training_stats


def run_training(cfg: Any, options: dict[str, Any], console: TextIO) -> None:
    """Trains; leaves the weights, their configuration, the statistics and plots."""
    import torch
    from mmengine import dist
    from mmengine.hooks import Hook
    from mmengine.runner import CheckpointLoader, Runner

    workspace, output = Path(cfg.work_dir), Path(options["output_weights"])
    if dist.is_main_process() and not cfg.resume:  # what an older training left
        old = ("*/vis_data/scalars.json", "last_checkpoint", "epoch_*", "best_*")
        for file in [f for name in old for f in workspace.glob(name)]:
            file.unlink()
    runner, bar = Runner.from_cfg(cfg), Hook()
    save = runner.save_checkpoint

    def save_whole(out_dir: str, filename: str, *args: Any, **more: Any) -> None:
        save(out_dir, f"{filename}.part", *args, **more)  # a kill may leave that behind
        if dist.is_main_process():
            Path(out_dir, f"{filename}.part").replace(Path(out_dir, filename))

    runner.save_checkpoint = save_whole

    def before_train(runner: Any) -> None:
        if options["device"] == "cpu":  # a third faster without denormal numbers, and
            torch.set_flush_denormal(True)  # with channels innermost; but not for DDP
            for part in runner.model.modules():
                if type(part) is torch.nn.Conv2d and not dist.is_distributed():
                    part.to(memory_format=torch.channels_last)
        if cfg.resume and runner.val_loop:  # the kill may have come before
            runner.val_loop.run()

    def after_epoch(runner: Any, metrics: Any = None) -> None:
        show_progress(console, runner, metrics)
        score = (metrics or {}).get(cfg.default_hooks.checkpoint.save_best, 0.0)
        best, since = runner.message_hub.get_info("patience", (-1.0, 0))
        since = 0 if score > best else since + 1
        runner.message_hub.update_info("patience", (max(best, score), since))
        if options["early_stop"] and since >= options["early_stop"]:
            print(f"No better AP in {since} epochs: this is the end.", file=console)
            runner.train_loop.stop_training = True

    bar.before_train = before_train
    bar.after_train_iter = functools.partial(show_progress, console)
    setattr(bar, f"after_{'val' if runner.val_loop else 'train'}_epoch", after_epoch)
    runner.register_hook(bar, "LOWEST")  # after MMEngine has noted its numbers
    runner.model = runner.model.to(options["device"])
    runner.train()
    if dist.is_main_process():
        write_training_stats(workspace, cfg.test_evaluator.metric)
        cfg.update(resume=False, launcher="none")
        cfg.dump(output.with_suffix(".py"))
        hub = runner.message_hub
        best = hub.get_info("best_ckpt", None) or hub.get_info("last_ckpt")
        best = CheckpointLoader.load_checkpoint(best, "cpu")
        kept = {key: best[key] for key in ("meta", "state_dict")}
        torch.save(kept, workspace / "output.part")
        (workspace / "output.part").replace(output)
