"""The complete configuration of a training."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

from cvtk.config import set_data, set_image_size, set_model, set_schedule, walk
from cvtk.data.prepare import prepare_annotations
from cvtk.errors import ModelError


def build_config(model: str, classes: list[str], options: dict[str, Any]) -> Any:
    """The complete configuration: the architecture's own, fitted to data and choices."""
    import mmdet
    from mmengine.config import Config

    configs = Path(mmdet.__file__).parent / ".mim" / "configs"
    file = next((p for p in configs.rglob("*.py") if p.stem == model), Path(model))
    if not file.is_file():
        raise ModelError(
            f"There is no model {model!r} in MMDetection, and no such file."
        )
    cfg = Config.fromfile(file).to_dict()
    workspace = Path(options["output_weights"]).with_suffix("").resolve()
    sets = {}
    for split, data in (("train", "train"), ("val", "valid"), ("test", "test")):
        if options[data]:
            target = workspace / f"{split}.json"
            sets[split] = prepare_annotations(options[data], classes, target)
    set_model(cfg["model"], len(classes), options["weights"])
    if options["image_size"]:
        set_image_size(cfg, options["image_size"])
    set_data(cfg, sets, options)
    coco = json.loads((workspace / "train.json").read_text())
    rle = any(isinstance(a.get("segmentation"), dict) for a in coco["annotations"])
    for step in walk(cfg):
        if rle and "poly2mask" in step:  # loaded as polygons, RLE would be ignored
            step["poly2mask"] = True
    steps = -(-len(coco["images"]) // options["batch_size"])
    set_schedule(cfg, file.stem, {**options, "steps": steps})

    best = f"coco/{'segm' if options['task'] == 'segm' else 'bbox'}_mAP"
    keep: dict[str, Any] = {"interval": 1, "max_keep_ckpts": 1}
    keep["published_keys"] = ["meta", "state_dict"]
    if options["valid"]:
        keep |= {"save_best": best, "rule": "greater"}
    cfg["default_hooks"]["checkpoint"] = {"type": "CheckpointHook", **keep}
    cfg["default_hooks"]["logger"]["interval"] = 1  # the tables are means of all steps
    cfg["log_processor"] = {"type": "LogProcessor", "window_size": 1}
    # "spawn" on Windows and macOS: worker processes start from a fresh Python
    cfg["env_cfg"]["mp_cfg"]["mp_start_method"] = multiprocessing.get_start_method()
    cfg.update(work_dir=str(workspace), randomness={"seed": options["seed"]})
    return Config(cfg, filename=str(file))
