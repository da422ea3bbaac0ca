"""What of a data set reaches the loss: the annotations sent through the model's own training pipeline."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from pathlib import Path
from typing import Any

from cvtk.data.coco import read
from cvtk.data.formats.coco import complete
from cvtk.data.types import RLE, Annotation, Converted, Dataset, Id, Image, show_id
from cvtk.engine.config_files import read_architecture
from cvtk.errors import CvtkError, InstallError
from cvtk.recipe.nodes import each_dict
from cvtk.recipe.sizes import set_image_size

# Steps that mix images or cut them at random: what they drop today they may keep tomorrow.
_RANDOM = (
    "Mosaic",
    "MixUp",
    "Crop",
    "CopyPaste",
    "Expand",
    "RandomAffine",
    "RandomErasing",
    "CutOut",
    "AutoAugment",
    "RandAugment",
    "Rotate",
    "Shear",
    "Translate",
)


# Steps that draw a size: the size of the test images stands for what they draw.
_RANDOM_SIZES = ("RandomResize", "RandomChoiceResize")
TOO_SMALL = "too small once the image is resized"


def _config(model: str, image_size: int | None) -> Any:
    """The configuration of a model, its images of another size where one is named."""
    try:
        import mmdet  # noqa: F401
        from mmengine.config import Config
    except ImportError as error:
        raise InstallError(
            f"The training pipeline needs MMDetection ({error}).",
            'Install it: pip install "cvtk[mmdet]".',
        ) from None
    file = Path(model)
    if not (file.suffix == ".py" and file.is_file()):
        from cvtk.zoo.find import find

        file = find(model).config
    cfg = read_architecture(file)
    if image_size is not None:
        set_image_size(cfg, image_size)
    return Config(cfg)


def _pipeline(
    cfg: Any, *, packed: bool
) -> tuple[list[dict[str, Any]], list[str], bool]:
    """The steps of the training pipeline, those left out, and whether it loads masks.

    Args:
        cfg: The model's configuration.
        packed: Whether the set has RLE masks: training by cvtk then draws masks as bitmaps.
    """
    dataset = cfg.train_dataloader.dataset
    resize = _resize_of_tests(cfg)
    steps: list[dict[str, Any]] = []
    while dataset is not None:  # a set wrapped in another adds its steps
        steps = [dict(s) for s in dataset.get("pipeline") or []] + steps
        inner = dataset.get("dataset") or (dataset.get("datasets") or [None])[0]
        dataset = inner
    kept, left, masks = [], [], False
    for step in steps:
        kind = str(step["type"]).rsplit(".", 1)[-1]
        if any(word in kind for word in _RANDOM):
            left.append(kind)
            continue
        if kind in _RANDOM_SIZES and resize:
            left.append(kind)
            step = resize
        if kind == "LoadAnnotations":
            masks = bool(step.get("with_mask"))
            if packed and "poly2mask" in step:
                step["poly2mask"] = True
        kept.append(step)
    return kept, list(dict.fromkeys(left)), masks


def _resize_of_tests(cfg: Any) -> dict[str, Any] | None:
    """The step that resizes the test images; None where there is none."""
    for step in each_dict(cfg.test_dataloader.dataset.get("pipeline") or []):
        if str(step.get("type")).rsplit(".", 1)[-1] == "Resize":
            return dict(step)
    return None


def survivors(
    file: str | Path,
    model: str,
    labels: list[str] | None = None,
    *,
    image_size: int | None = None,
    most: int = 1000,
) -> dict[str, Any]:
    """Counts what reaches the loss, by class, and says why the rest does not.

    Args:
        file: The training set, a COCO file.
        model: A name of MMDetection's catalogue, or a configuration file.
        labels: The class names of training; those of the file where left out.
        image_size: As for training, in pixels; the architecture's own where left out.
        most: How many images to try; the first ones.

    Returns:
        `model`, `image_size`, `images` (tried), `left_out` (random steps that were not run; the size of the test
        images stands for random sizes), and `classes`: by name `annotations`, `kept`, and `lost`, a dictionary of
        reasons and counts. What is under a pixel wide or high counts as lost even where the pipeline keeps it.

    Raises:
        ModelError: There is no such model.
        InstallError: MMDetection is not installed.
        DataError: The file is not COCO.
        OptionError: The architecture takes images as large as they are.
    """
    cfg = _config(model, image_size)
    dataset = read(file, lambda item, error: None)
    stated = list(dataset.annotations)
    dataset.images = dataset.images[:most]
    tried = {image.id for image in dataset.images}
    stated = [a for a in stated if a.image_id in tried]
    names: dict[Id, str] = {c.id: c.name for c in dataset.categories}
    classes = labels or dataset.class_names
    packed = any(bytes(memoryview(a.raw)[:1]) == b"{" for a in stated)
    steps, left, masks = _pipeline(cfg, packed=packed)
    dataset.annotations = list(stated)
    completed = Converted(dataset)
    complete(completed)
    said = {n.item: n.text.removeprefix("left out: ") for n in completed.notes}
    usable = {id(a) for a in dataset.annotations}
    reasons = {
        id(a): said.get(f"annotation {show_id(a.id)}", "unusable")
        for a in stated
        if id(a) not in usable
    }
    reasons |= _run(dataset, classes, names, steps, masks)
    return {
        "model": model,
        "image_size": image_size,
        "images": len(dataset.images),
        "left_out": left,
        "classes": _table(stated, names, classes, reasons),
    }


def _table(
    stated: list[Annotation],
    names: dict[Id, str],
    classes: list[str],
    reasons: dict[int, str],
) -> dict[str, dict[str, Any]]:
    """By class, how many annotations there are, how many are kept, and why the others are lost."""
    found = [*classes, *(names.get(a.category_id, str(a.category_id)) for a in stated)]
    rows: dict[str, dict[str, Any]] = {
        name: {"annotations": 0, "kept": 0, "lost": {}} for name in found
    }
    for a in stated:
        row = rows[names.get(a.category_id, str(a.category_id))]
        row["annotations"] += 1
        reason = reasons.get(id(a), "")
        if reason:
            row["lost"][reason] = row["lost"].get(reason, 0) + 1
        else:
            row["kept"] += 1
    return rows


def _run(
    dataset: Dataset,
    classes: list[str],
    names: dict[Id, str],
    steps: list[dict[str, Any]],
    masks: bool,
) -> dict[int, str]:
    """Why annotations are lost, by the `id()` of each; those that reach the loss are absent."""
    with contextlib.redirect_stdout(io.StringIO()):  # it tells what it lacks
        from mmdet.datasets import CocoDataset
        from mmdet.utils import register_all_modules
    from mmengine.dataset import Compose
    from mmengine.logging import MMLogger

    MMLogger.get_instance("cvtk", log_level="ERROR")
    register_all_modules(init_default_scope=True)
    compose = Compose(steps)
    by_image, reasons = dataset.by_image(), {}
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.redirect_stdout(io.StringIO()),
    ):
        empty = Path(folder) / "empty.json"
        categories = [{"id": c.id, "name": c.name} for c in dataset.categories]
        image = {"id": 0, "file_name": "x", "width": 1, "height": 1}
        empty.write_text(
            json.dumps({"images": [image], "annotations": [], "categories": categories})
        )
        reader = CocoDataset(
            ann_file=str(empty),
            data_prefix={"img": str(dataset.folder.absolute())},
            metainfo={"classes": classes},
            pipeline=[],
        )
        for entry in dataset.images:
            wanted = by_image[entry.id]
            try:
                reasons.update(_one(reader, compose, entry, wanted, names, masks))
            except Exception as error:
                if len(wanted) == 1:
                    reasons[id(wanted[0])] = _failure(error)
                    continue
                for annotation in wanted:  # which one is it?
                    try:
                        reasons.update(
                            _one(reader, compose, entry, [annotation], names, masks)
                        )
                    except Exception as single:  # a pipeline may fail in any way
                        reasons[id(annotation)] = _failure(single)
    return reasons


def _failure(error: Exception) -> str:
    if isinstance(error, CvtkError):
        return error.message
    return f"stops the pipeline ({type(error).__name__}: {str(error)[:80]})"


def _plain(annotation: Annotation) -> dict[str, Any]:
    segmentation = annotation.segmentation
    if isinstance(segmentation, RLE):
        segmentation = {"size": list(segmentation.size), "counts": segmentation.counts}  # type: ignore[assignment]
    return {
        "id": annotation.id,
        "image_id": annotation.image_id,
        "category_id": annotation.category_id,
        "bbox": annotation.bbox,
        "area": annotation.area,
        "iscrowd": int(annotation.is_crowd),
        "segmentation": segmentation or [],
    }


def _one(
    reader: Any,
    compose: Any,
    image: Image,
    wanted: list[Annotation],
    names: dict[Id, str],
    masks: bool,
) -> dict[int, str]:
    """One image through the data set's reader and the pipeline."""
    info = {
        "img_id": image.id,
        "file_name": image.file_name,
        "width": image.width,
        "height": image.height,
    }
    reasons: dict[int, str] = {}
    instances: list[dict[str, Any]] = []
    order: list[Annotation] = []
    data: dict[str, Any] | None = None
    for annotation in wanted:
        raw = _plain(annotation)
        parsed = reader.parse_data_info(
            {"raw_img_info": dict(info), "raw_ann_info": [raw]}
        )
        data = data or parsed
        if not parsed["instances"]:
            reasons[id(annotation)] = _unread(annotation, image, names, reader)
            continue
        if masks and not raw["segmentation"]:
            reasons[id(annotation)] = "no mask"
            continue
        (instance,) = parsed["instances"]
        # The label is a mark here: what the pipeline drops is told by the marks that are left.
        instances.append({**instance, "bbox_label": len(order)})
        order.append(annotation)
    if data is None or not order:
        return reasons
    result = compose({**data, "instances": instances})
    if result is None:
        return reasons | {id(a): "the pipeline drops its image" for a in order}
    sample = result["data_samples"]
    kept = _visible(sample.gt_instances)
    ignored = (
        {int(v) for v in sample.ignored_instances.labels}
        if "ignored_instances" in sample
        else set()
    )
    for mark, annotation in enumerate(order):
        if mark in kept:
            continue
        if mark in ignored:
            why = (
                "crowd"
                if annotation.is_crowd
                else "ignored, for its mask cannot be read"
            )
        else:
            why = TOO_SMALL
        reasons[id(annotation)] = why
    return reasons


def _visible(instances: Any) -> set[int]:
    """The labels of those of the network's true objects whose boxes are at least a pixel wide and high."""
    boxes = getattr(instances.bboxes, "tensor", instances.bboxes)
    sides = boxes[:, 2:] - boxes[:, :2]
    return {int(label) for label in instances.labels[(sides >= 1).all(1)]}


def _unread(
    annotation: Annotation, image: Image, names: dict[Id, str], reader: Any
) -> str:
    """Why CocoDataset passed over an annotation (the conditions of its `parse_data_info`)."""
    box = annotation.bbox if isinstance(annotation.bbox, list) else [0.0] * 4
    width, height = image.size or (0, 0)
    x, y, w, h = box
    if names.get(annotation.category_id) not in reader.metainfo["classes"]:
        return "its class is not in the label file"
    inter_w, inter_h = min(x + w, width) - max(x, 0), min(y + h, height) - max(y, 0)
    if inter_w <= 0 or inter_h <= 0:
        return "outside the image"
    if w < 1 or h < 1:
        return "box under a pixel"
    if not isinstance(annotation.area, (int, float)) or annotation.area <= 0:
        return "area 0"
    return "marked to be ignored"
