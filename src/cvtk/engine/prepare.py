"""All that comes before the first step: data that were checked, the configuration, the start."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from cvtk.adapt import adapt
from cvtk.config import set_keys, set_settings
from cvtk.data import read
from cvtk.data.checks import require_images, require_trainable
from cvtk.engine.build import build_config
from cvtk.engine.decisions import crowded, decisions
from cvtk.engine.weights import fetch_backbones, newest_checkpoint, start_weights
from cvtk.quiet import quiet


def prepare_training(
    config: Path, classes: list[str], options: dict[str, Any], settings: dict[str, Any]
) -> Any:
    """The complete configuration, for data that were checked, with where it starts.

    Args:
        config: The architecture's own file.
        classes: The labels.
        options: Those of the scripts.
        settings: Those of `cvtk.config.set_settings`.

    Raises:
        CvtkError: Data, weights or settings that cannot be used.
    """
    from mmengine import dist

    splits = [split for split in ("train", "valid", "test") if options[split]]
    for split in splits:
        dataset = read(options[split])
        train = split == "train"
        for note in require_trainable(dataset, classes, options["task"], train=train):
            print(note)
        require_images(dataset)
    workspace = Path(options["output_weights"]).with_suffix("")
    with quiet():
        own, file = _adapted(config, workspace, options["device"])
        cfg = build_config(str(file), classes, {**options, "set": []})
        set_settings(cfg, **settings)
        set_keys(cfg._cfg_dict, options["set"])  # whose word is the last
        processes = {"processes": dist.get_world_size()}
        cfg.decisions = decisions(own, cfg.to_dict(), {**options, **processes})
    used = [f"{cfg.work_dir}/used_{split}.json" for split in splits]
    for note in crowded(cfg, used):
        print(note)
    if options["amp"] and cfg.optim_wrapper.type != "AmpOptimWrapper":
        print(f"No mixed precision: {options['device']} does not have it.")
    _set_start(cfg, config, options)
    return cfg


def _set_start(cfg: Any, config: Path, options: dict[str, Any]) -> None:
    weights, trust = options["weights"], options["trust_weights"]
    if cfg.resume:
        cfg.load_from = newest_checkpoint(cfg.work_dir)
        print(f"Goes on from {cfg.load_from}.")
    elif options["print_config"]:
        return  # nothing is downloaded to show it
    elif weights == "imagenet":
        fetch_backbones(cfg, trust)
    elif weights != "none":
        cfg.load_from = start_weights(cfg, config, weights, trust)


def _adapted(config: Path, workspace: Path, device: str) -> tuple[dict[str, Any], Path]:
    """The architecture's own configuration; of a few, without what nobody has data for."""
    from mmengine.config import Config

    own = Config.fromfile(config, import_custom_modules=False)
    fitted = own.to_dict()
    for note in adapt(fitted, device):
        print(note, file=sys.stderr)
    if fitted == own.to_dict():
        return fitted, config
    file = workspace / "architecture" / config.name
    file.parent.mkdir(parents=True, exist_ok=True)
    Config(fitted).dump(file)
    return fitted, file
