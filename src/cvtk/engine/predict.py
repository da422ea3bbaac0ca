"""Trained weights on images: the predictions, one image at a time."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from cvtk.engine.weights import read_weights
from cvtk.errors import FileError
from cvtk.results import Result


def load_model(weights: str | Path, device: str, trust: bool = False) -> Any:
    """The trained network, with its configuration (beside the weights) as `model.cfg`."""
    import mmdet.datasets  # noqa: F401 - registers how images are read
    from mmdet.registry import MODELS
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    cfg = Config.fromfile(Path(weights).with_suffix(".py"))
    init_default_scope("mmdet")
    model = MODELS.build(cfg.model)
    model.load_state_dict(read_weights(weights, trust)["state_dict"])
    model.cfg, model.dataset_meta = cfg, cfg.test_dataloader.dataset.metainfo
    return model.to(device).eval()


def predict(
    model: Any, images: list[Path], batch_size: int
) -> Iterator[tuple[Path, Any]]:
    """Yields each image with its predictions; the next batch is read meanwhile."""
    import torch
    from mmcv.transforms import Compose
    from mmengine.dataset import pseudo_collate

    steps = model.cfg.test_dataloader.dataset.pipeline
    read = Compose([s for s in steps if s["type"] != "LoadAnnotations"])
    batches = [images[i : i + batch_size] for i in range(0, len(images), batch_size)]

    def load_one(path: Path) -> Any:
        try:
            return read({"img_path": str(path), "img_id": 0})
        except (OSError, AssertionError, ValueError):  # as the libraries below have it
            raise FileError(
                f"{path} cannot be read as an image.", "Open it, or leave it out."
            ) from None

    def load(batch: list[Path]) -> list[Any]:
        return [load_one(path) for path in batch]

    with ThreadPoolExecutor(1) as reader:
        ahead = [reader.submit(load, batch) for batch in batches[:1]]
        for number, batch in enumerate(batches, 1):
            data = pseudo_collate(ahead.pop().result())
            ahead += [reader.submit(load, b) for b in batches[number : number + 1]]
            with torch.inference_mode(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of no use to who predicts
                samples = model.test_step(data)
            yield from zip(batch, samples, strict=True)


def to_result(
    sample: Any,
    path: Path,
    name: str,
    classes: list[str],
    category_ids: list[int],
    score: float,
) -> Result:
    """MMDetection's predictions for one image as a `Result`; masks become RLE at once."""
    found = sample.pred_instances
    found = found[found.scores >= score]
    items = to_coco(found, category_ids)
    height, width = sample.ori_shape
    return Result(
        path=path,
        name=name,
        height=height,
        width=width,
        classes=tuple(classes),
        category_ids=tuple(category_ids),
        labels=found.labels.cpu().numpy(),
        scores=np.array([item["score"] for item in items]),
        bboxes=np.array([item["bbox"] for item in items]),
        masks=[item["segmentation"] for item in items] if "masks" in found else None,
    )


def find_images(data: str | Path | Sequence[str | Path]) -> dict[Path, str]:
    """The images that a user means -> a name for what is written of each, none twice.

    Raises:
        FileError: There is no such image, or none at all.
    """
    if isinstance(data, (str, Path)):
        if not Path(data).exists():
            raise FileError(f"There is no {data}.", "Check the path.")
        paths = list(list_images(data).values())
    else:
        paths = [Path(path) for path in data]
    base = Path(data) if isinstance(data, (str, Path)) and Path(data).is_dir() else None
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for path in paths:
        if not path.is_file():
            raise FileError(f"There is no image at {path}.", f"It is named in {data}.")
        if path in names:
            continue
        name = path.relative_to(base).as_posix() if base else path.name
        number = 2
        while name in taken:  # images of one name from several folders
            name = f"{path.stem}_{number}{path.suffix}"
            number += 1
        taken.add(name)
        names[path] = name
    if not names:
        raise FileError(
            f"There are no images in {data}.", "JPEG, PNG, TIFF, BMP and WebP are read."
        )
    return names


def to_coco(found: Any, category_ids: list[int]) -> list[dict[str, Any]]:
    """One image's predictions as COCO has them: boxes as x, y, width, height; RLE."""
    import numpy as np
    from pycocotools import mask as rle

    items = []
    for one in found.cpu():
        x1, y1, x2, y2 = one.bboxes[0].tolist()
        item = {"category_id": category_ids[one.labels[0]], "score": one.scores.item()}
        item |= {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1)}
        if "masks" in one:
            mask = rle.encode(np.asfortranarray(one.masks[0].byte().numpy()))
            item["area"] = float(rle.area(mask))
            item["segmentation"] = {**mask, "counts": mask["counts"].decode()}
        items.append({**item, "iscrowd": 0})
    return items


def list_images(data: str | Path) -> dict[int, Path]:
    """Images by id: of a COCO file, a text file of paths, a folder, or the one image."""
    data = Path(data)
    kinds = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}
    paths = sorted(p for p in data.rglob("*") if p.suffix.lower() in kinds)
    if data.suffix == ".json":
        images = json.loads(data.read_text(encoding="utf-8"))["images"]
        return {image["id"]: data.parent / image["file_name"] for image in images}
    if data.suffix == ".txt":
        lines = data.read_text(encoding="utf-8-sig").splitlines()
        paths = [data.parent / line.strip() for line in lines if line.strip()]
    return dict(enumerate(paths or [data], 1))
