"""What an executor leaves of a mining and of an inference."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cvtk.io import atomic_write
from cvtk.results import Result
from cvtk.ymir.failures import Code, Failure
from cvtk.ymir.task import Task


def write_mining(task: Task, scores: Iterable[tuple[str, float]]) -> None:
    """Writes result.tsv: an image and its score per line, the highest score first.

    Args:
        task: The job.
        scores: The images as the index names them, with the score of each: the higher, the more worth labelling.
    """
    ranked = sorted(scores, key=lambda pair: -pair[1])
    with atomic_write(
        task.environment.output["mining_result_file"], force=True
    ) as part:
        lines = (f"{image}\t{score:.6f}\n" for image, score in ranked)
        part.write_text("".join(lines), encoding="utf-8")


def write_inference(task: Task, results: Iterable[Result]) -> None:
    """Writes infer-result.json, a COCO document, image by image, so that memory stays flat.

    Categories are numbered from 0, in the platform's order of the classes. Images without objects are in it too.

    Args:
        task: The job.
        results: One per image; a generator is read once.

    Raises:
        Failure: The model knows a class that the platform does not.
    """
    file = task.environment.output["infer_result_file"]
    images: list[str] = []
    count = 0
    names = task.class_names
    with (
        atomic_write(file, force=True) as part,
        part.open("w", encoding="utf-8") as out,
    ):
        out.write('{"annotations": [')
        for result in results:
            names = names or list(result.classes)
            _require_known(result, names)
            images.append(json.dumps(_image(result, len(images) + 1)))
            found = zip(result.names, result.to_coco(len(images)), strict=True)
            for name, item in found:
                separator = ",\n" if count else "\n"
                count += 1
                line = json.dumps(_object(item, count, names.index(name)))
                out.write(separator + line)
        categories = [
            {"id": id_, "name": name, "supercategory": "none"}
            for id_, name in enumerate(names)
        ]
        out.write(f'\n],\n"categories": {json.dumps(categories)},\n"images": [\n')
        out.write(",\n".join(images) + "\n]}\n")


def write_detections(task: Task, results: Iterable[Result]) -> None:
    """Writes infer-result.json of boxes: the objects of each image under its base name, also where there are none.

    Boxes are whole pixels. Their list is called `boxes` since protocol 1.0.0, and `annotations` before.

    Args:
        task: The job.
        results: One per image; a generator is read once.

    Raises:
        Failure: The model knows a class that the platform does not.
    """
    key = "boxes" if task.environment.version >= (1, 0, 0) else "annotations"
    file = task.environment.output["infer_result_file"]
    with (
        atomic_write(file, force=True) as part,
        part.open("w", encoding="utf-8") as out,
    ):
        separator = '{"detection": {\n'
        for result in results:
            _require_known(result, task.class_names or list(result.classes))
            found = zip(result.names, result.bboxes, result.scores, strict=True)
            boxes = [
                {"class_name": name, "score": float(score), "box": _whole(box)}
                for name, box, score in found
            ]
            name = json.dumps(Path(result.path).name)
            out.write(f"{separator}{name}: {json.dumps({key: boxes})}")
            separator = ",\n"
        out.write("\n}}\n")


def _whole(box: Iterable[float]) -> dict[str, int]:
    """A box [x, y, width, height] in whole pixels, of one at least."""
    x, y, width, height = box
    left, top = round(float(x)), round(float(y))
    right, bottom = round(float(x + width)), round(float(y + height))
    return {
        "x": left,
        "y": top,
        "w": max(1, right - left),
        "h": max(1, bottom - top),
    }


def _require_known(result: Result, names: list[str]) -> None:
    unknown = [name for name in result.classes if name not in names]
    if unknown:
        raise Failure(
            Code.CONFIGURATION,
            f"The model finds {', '.join(unknown)}, and class_names are {', '.join(names)}.",
            "Choose the model that belongs to these classes.",
        )


def _image(result: Result, id_: int) -> dict[str, Any]:
    return {
        "id": id_,
        "file_name": Path(result.path).name,
        "width": int(result.width),
        "height": int(result.height),
    }


def _object(item: dict[str, Any], id_: int, category: int) -> dict[str, Any]:
    """One object in the platform's form, from COCO's."""
    return {
        "id": id_,
        "image_id": item["image_id"],
        "category_id": category,
        "segmentation": item["segmentation"],
        "bbox": item["bbox"],
        "confidence": item["score"],
    }
