"""The stages of a model: what a training leaves for later tasks, and result.yaml, which lists them."""

from __future__ import annotations

import csv
import re
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from cvtk.io import atomic_write, read_text
from cvtk.ymir.failures import Code, Failure
from cvtk.ymir.task import Environment, Task

MOST_STAGES = 11
# The protocol's names of the metrics that a training of cvtk notes after each epoch; the first says which is the best.
MASK_METRICS = {"maskAP": "coco/segm_mAP", "boxAP": "coco/bbox_mAP"}
BOX_METRICS = {"mAP": "coco/bbox_mAP"}


def write_stages(task: Task) -> None:
    """Leaves a stage for the last epoch of a training, and one for the best; only the best before protocol 1.0.0.

    Each holds weights, their configuration and the class names: all that a later task needs. Of several
    processes, only the first does anything.

    Args:
        task: A job whose training has ended.
    """
    from mmengine import dist

    if not dist.is_main_process():
        return
    rows = validations(task)
    last, best = rows[-1], max(rows, key=_quality)
    labels = task.work / "label.txt"
    labels.write_text("\n".join(task.class_names) + "\n", encoding="utf-8")
    config = task.output_weights.with_suffix(".py")
    if task.environment.has_stages:
        weights = _last_weights(task)
        files = {"model.pth": weights, "model.py": config, "label.txt": labels}
        write_stage(task.environment, "last", files, last)
    files = {"model.pth": task.output_weights, "model.py": config, "label.txt": labels}
    write_stage(task.environment, "best", files, best)


def write_stage(
    environment: Environment,
    name: str,
    files: dict[str, Path],
    metrics: dict[str, float],
) -> None:
    """Copies the files of a stage to the folder of models, and adds the stage to result.yaml.

    The best stage is the one with the highest maskAP (mAP of a detector), of equals the latest. Of more than 11 stages, the oldest
    that is not the best goes.

    Args:
        environment: Of the task.
        name: An identifier; other characters become underscores.
        files: By the name that each gets, where it is.
        metrics: `maskAP` or `mAP`, and others that the platform knows.
    """
    name = re.sub(r"\W", "_", name, flags=re.ASCII)
    models = environment.output["models_dir"]
    folder = models / name if environment.has_stages else models
    folder.mkdir(parents=True, exist_ok=True)
    for file, source in files.items():
        with atomic_write(folder / file, force=True) as part:
            shutil.copyfile(source, part)
    stage = {
        "stage_name": name,
        "files": list(files),
        "timestamp": int(time.time()),
        **metrics,
    }
    result_file = environment.output["training_result_file"]
    if environment.has_stages:
        content = _with_stage(_read_result(result_file), stage, models)
    else:
        content = {"model": stage.pop("files"), **stage}
    with atomic_write(result_file, force=True) as part:
        part.write_text(
            yaml.safe_dump(content, allow_unicode=True, sort_keys=False),
            encoding="utf-8",
        )


def _read_result(file: Path) -> dict[str, Any]:
    """What result.yaml holds so far."""
    if not file.is_file():
        return {}
    return yaml.safe_load(read_text(file)) or {}


def _with_stage(
    result: dict[str, Any], stage: dict[str, Any], models: Path
) -> dict[str, Any]:
    """The content of result.yaml with one more stage."""
    stages = {**result.get("model_stages", {})}
    stages.pop(stage["stage_name"], None)
    stages[stage["stage_name"]] = stage
    # Sorting keeps the order of equals, in which the newest comes last.
    by_time = sorted(stages.values(), key=lambda stage: stage["timestamp"])
    best = sorted(by_time, key=_quality)[-1]
    if len(stages) > MOST_STAGES:
        others = [s["stage_name"] for s in by_time if s is not best]
        oldest = others[0]
        del stages[oldest]
        shutil.rmtree(models / oldest, ignore_errors=True)
    return {
        **result,
        "model_stages": stages,
        "best_stage_name": best["stage_name"],
        _metric(best): _quality(best),
    }


def _metric(stage: dict[str, Any]) -> str:
    """The metric by which the platform compares stages."""
    return "maskAP" if "maskAP" in stage else "mAP"


def _quality(stage: dict[str, Any]) -> float:
    return float(stage[_metric(stage)])


def validations(task: Task) -> list[dict[str, float]]:
    """The metrics of each epoch, as the training noted them.

    Raises:
        Failure: It noted none.
    """
    name = task.output_weights.stem
    table = task.output_weights.with_name(f"{name}.train_stats.valid.txt")
    rows: Sequence[dict[str, str]] = []
    if table.is_file():
        rows = list(csv.DictReader(read_text(table).splitlines(), delimiter="\t"))
    if not rows:
        raise Failure(Code.OTHER, f"The training noted no metrics in {table}.")
    has_masks = MASK_METRICS["maskAP"] in rows[0]
    metrics = MASK_METRICS if has_masks else BOX_METRICS
    return [{ours: float(row[own]) for ours, own in metrics.items()} for row in rows]


def _last_weights(task: Task) -> Path:
    """The weights of the last epoch, without what only resuming needs."""
    import torch

    from cvtk.engine.weights import read_weights
    from cvtk.engine.workspace import newest_checkpoint

    workspace = task.output_weights.with_suffix("")
    checkpoint = read_weights(newest_checkpoint(workspace))
    file = task.work / "last.pth"
    with atomic_write(file, force=True) as part:
        torch.save({key: checkpoint[key] for key in ("meta", "state_dict")}, part)
    return file
