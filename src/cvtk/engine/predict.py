"""Trained weights on images: the predictions, one image at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cvtk.engine.weights import read_weights
from cvtk.errors import FileError


def load_model(weights: str | Path, device: str) -> Any:
    """The trained network, with its configuration (beside the weights) as `model.cfg`."""
    from mmdet.registry import MODELS
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    cfg = Config.fromfile(Path(weights).with_suffix(".py"))
    init_default_scope("mmdet")
    model = MODELS.build(cfg.model)
    model.load_state_dict(read_weights(weights)["state_dict"])
    model.cfg, model.dataset_meta = cfg, cfg.test_dataloader.dataset.metainfo
    return model.to(device).eval()


def predict(model: Any, images: list[Path], batch_size: int) -> Iterator[tuple[Path, Any]]:
    """Yields each image with its predictions; the next batch is read meanwhile."""
    import torch
    from mmcv.transforms import Compose
    from mmengine.dataset import pseudo_collate

    steps = [s for s in model.cfg.test_pipeline if s["type"] != "LoadAnnotations"]
    read = Compose(steps)
    batches = [images[i : i + batch_size] for i in range(0, len(images), batch_size)]
    with ThreadPoolExecutor(1) as reader, torch.inference_mode():

        def start(number: int) -> list[Any]:
            paths = batches[number] if number < len(batches) else []
            return [reader.submit(read, {"img_path": str(p), "img_id": 0}) for p in paths]

        ahead = start(0)
        for number, batch in enumerate(batches):
            data = pseudo_collate([item.result() for item in ahead])
            ahead = start(number + 1)
            yield from zip(batch, model.test_step(data))  # noqa: B905


def to_coco(found: Any, category_ids: list[int]) -> list[dict[str, Any]]:
    """One image's predictions as COCO has them: boxes as x, y, width, height; RLE."""
    import numpy as np
    from pycocotools import mask as rle

    boxes, annotations = found.bboxes.cpu().double(), []
    boxes[:, 2:] -= boxes[:, :2]
    for i, label in enumerate(found.labels.tolist()):
        annotation = {"category_id": category_ids[label], "bbox": boxes[i].tolist()}
        annotation["score"] = float(found.scores[i])
        if "masks" in found:
            mask = rle.encode(np.asfortranarray(found.masks[i].byte().cpu().numpy()))
            annotation["segmentation"] = {**mask, "counts": mask["counts"].decode()}
        annotations.append(annotation)
    return annotations


def list_images(data: str | Path) -> list[Path]:
    """The images of a folder, a COCO file, a text file of paths, or the one image."""
    data = Path(data)
    kinds = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}
    images = [data]
    if data.is_dir():
        images = sorted(p for p in data.rglob("*") if p.suffix.lower() in kinds)
    elif data.suffix in (".json", ".txt"):
        text = data.read_text(encoding="utf-8-sig")
        names = text.splitlines()
        if data.suffix == ".json":
            names = [image["file_name"] for image in json.loads(text)["images"]]
        images = [data.parent / name for name in names if name.strip()]
    missing = [path for path in images if not path.is_file()]
    if missing or not images:
        raise FileError(f"No image at {missing[0]}." if missing else f"No images in {data}.")
    return images
