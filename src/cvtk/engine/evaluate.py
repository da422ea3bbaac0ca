"""Weights on an annotated set: predictions, and COCO's statistics of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cvtk.data.prepare import prepare_annotations
from cvtk.engine.predict import load_model, predict, to_coco
from cvtk.metrics import coco_stats


def evaluate(weights: str | Path, data: str | Path, output: Path, device: str) -> dict[str, Any]:
    """Writes the predictions for an annotated set; returns COCO's statistics of them."""
    model = load_model(weights, device)
    task = model.cfg.test_evaluator.metric[-1]
    truth = prepare_annotations(data, list(model.dataset_meta.classes), output / "truth.json")
    images = json.loads(Path(truth["ann_file"]).read_text())["images"]
    paths = [Path(truth["data_prefix"]["img"], image["file_name"]) for image in images]
    predictions = []
    for image, (_, sample) in zip(images, predict(model, paths, 1)):  # noqa: B905
        found = to_coco(sample.pred_instances, truth["metainfo"]["category_ids"])
        predictions += [{"image_id": image["id"], **p} for p in found]
    file = output / "test_outputs.coco.json"
    file.write_text(json.dumps(predictions), encoding="utf-8")
    stats, by_class = coco_stats(truth["ann_file"], predictions, task)
    result = {"stats": stats, "class_stats": by_class}
    if task == "segm":
        stats, by_class = coco_stats(truth["ann_file"], predictions, "bbox")
        result |= {"bbox_stats": stats, "bbox_class_stats": by_class}
    about = {"data": str(data), "images": len(images), "weights": str(weights)}
    return {**result, "computed_on": about}
