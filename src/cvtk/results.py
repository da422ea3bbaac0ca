"""What a prediction is: the objects found in one image, and the forms they are written in."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cvtk.drawing import draw_objects, load_image, writable
from cvtk.errors import CvtkError, FileError
from cvtk.files import written_whole

RLE: TypeAlias = dict[str, Any]
"""A mask as COCO's compressed RLE: `{"size": [height, width], "counts": "..."}`."""


def encode_mask(mask: NDArray[Any]) -> RLE:
    """Packs a mask (H, W), non-zero inside, into compressed RLE that JSON can hold."""
    from pycocotools import mask as coco_mask

    rle = coco_mask.encode(np.asfortranarray(np.asarray(mask) != 0, dtype=np.uint8))
    return {
        "size": [int(n) for n in rle["size"]],
        "counts": rle["counts"].decode("ascii"),
    }


def decode_mask(rle: RLE) -> NDArray[np.uint8]:
    """Unpacks compressed RLE into (H, W), 1 inside and 0 outside."""
    from pycocotools import mask as coco_mask

    decoded: NDArray[np.uint8] = np.asarray(coco_mask.decode(rle), dtype=np.uint8)
    return decoded


@dataclass(frozen=True, eq=False)
class Result:
    """The objects found in one image; arrays of the same length N, checked when they are made.

    Index it like an array: `result[0]`, `result[result.scores > 0.5]`, `result[[2, 0]]` are results too.

    Attributes:
        path: The image.
        height: Of the image as it is seen (after EXIF orientation), in pixels.
        width: The same.
        classes: Names of all classes the model knows.
        category_ids: COCO id of each class, as in the data it was trained on.
        labels: (N,) int, index in `classes`.
        scores: (N,) float, 0 to 1.
        bboxes: (N, 4) float, x, y, width, height in pixels.
        masks: N compressed COCO RLEs of the image's size; None from a detector.
        name: What the image is called in what is written, such as `a/1.jpg` for one of several folders; the
            name of its file where left out.

    Raises:
        ValueError: The parts do not fit together.
    """

    path: Path
    height: int
    width: int
    classes: tuple[str, ...]
    category_ids: tuple[int, ...]
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]
    bboxes: NDArray[np.float64]
    masks: list[RLE] | None = None
    name: str = ""

    def __post_init__(self) -> None:
        labels = np.asarray(self.labels, dtype=np.int64).reshape(-1)
        fixed: dict[str, Any] = {
            "path": Path(self.path),
            "name": self.name or Path(self.path).name,
            "classes": tuple(self.classes),
            "category_ids": tuple(int(i) for i in self.category_ids),
            "labels": labels,
            "scores": np.asarray(self.scores, dtype=np.float64).reshape(-1),
            "bboxes": np.asarray(self.bboxes, dtype=np.float64).reshape(-1, 4),
        }
        if self.masks is not None:
            fixed["masks"] = [
                {
                    **m,
                    "counts": m["counts"].decode("ascii")
                    if isinstance(m["counts"], bytes)
                    else m["counts"],
                }
                for m in self.masks
            ]
        for name, value in fixed.items():
            object.__setattr__(
                self, name, value
            )  # the dataclass is frozen for everybody else
        lengths = {
            "labels": len(labels),
            "scores": len(self.scores),
            "bboxes": len(self.bboxes),
        }
        if self.masks is not None:
            lengths["masks"] = len(self.masks)
        if len(set(lengths.values())) > 1:
            raise ValueError(f"{self.path}: parts of unequal length: {lengths}")
        if len(self.classes) != len(self.category_ids):
            raise ValueError(
                f"{len(self.classes)} classes but {len(self.category_ids)} category ids"
            )
        if len(labels) and not (labels.min() >= 0 and labels.max() < len(self.classes)):
            raise ValueError(
                f"{self.path}: a label is not an index of the {len(self.classes)} classes"
            )
        for index, mask in enumerate(self.masks or []):
            if list(mask["size"]) != [self.height, self.width]:
                size = [self.height, self.width]
                raise ValueError(
                    f"{self.path}: mask {index} has size {list(mask['size'])}, not {size}"
                )

    @classmethod
    def empty(
        cls,
        path: Path,
        height: int,
        width: int,
        classes: Sequence[str],
        category_ids: Sequence[int],
        *,
        with_masks: bool = True,
    ) -> Result:
        """A result without objects."""
        none = np.zeros(0)
        masks: list[RLE] | None = [] if with_masks else None
        labels = none.astype(np.int64)
        return cls(
            path,
            height,
            width,
            tuple(classes),
            tuple(category_ids),
            labels,
            none,
            none,
            masks,
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int | slice | Sequence[int] | NDArray[Any]) -> Result:
        """The objects at an index, a slice, a list of indices, or where a boolean array (N,) is true."""
        keep = np.arange(len(self))[index].reshape(-1)
        masks = None if self.masks is None else [self.masks[i] for i in keep]
        return replace(
            self,
            labels=self.labels[keep],
            scores=self.scores[keep],
            bboxes=self.bboxes[keep],
            masks=masks,
        )

    def filter(self, score: float) -> Result:
        """The objects of at least this score (0 to 1)."""
        return self[self.scores >= score]

    @property
    def names(self) -> list[str]:
        """The class name of each object."""
        return [self.classes[label] for label in self.labels]

    def __str__(self) -> str:
        lines = [
            f"{self.path} ({self.width} x {self.height}): {len(self)} object{'s' * (len(self) != 1)}"
        ]
        width = max((len(name) for name in self.names), default=0)
        for name, score, (x, y, w, h) in zip(
            self.names, self.scores, self.bboxes, strict=True
        ):
            lines.append(
                f"  {name:<{width}}  {score:.3f}  x {x:.1f}  y {y:.1f}  width {w:.1f}  height {h:.1f}"
            )
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Result {self.path}: {len(self)} objects>"

    def print(self) -> None:
        """Prints the objects, one a line, best first as the model gave them."""
        print(self)

    def to_dicts(self) -> list[dict[str, Any]]:
        """The objects as plain dictionaries.

        Returns:
            For each `category` (name), `category_id`, `score` (0 to 1), `bbox` ([x, y, width, height] in
            pixels) and `mask` ((H, W) uint8, 1 inside; None from a detector).
        """
        return [
            {
                "category": self.classes[label],
                "category_id": self.category_ids[label],
                "score": float(self.scores[i]),
                "bbox": self.bboxes[i].tolist(),
                "mask": None if self.masks is None else decode_mask(self.masks[i]),
            }
            for i, label in enumerate(self.labels)
        ]

    def to_coco(self, image_id: int = 1, first_id: int = 1) -> list[dict[str, Any]]:
        """The objects as COCO annotations with scores (https://cocodataset.org/#format-results).

        Args:
            image_id: Id of the image they are of.
            first_id: Id of the first annotation; the others count on.

        Returns:
            For each `id`, `image_id`, `category_id`, `bbox`, `segmentation` (compressed RLE; left out by a
            detector), `area` (of the mask, else of the box; square pixels), `iscrowd` (0) and `score`.
        """
        from pycocotools import mask as coco_mask

        annotations = []
        for i, label in enumerate(self.labels):
            box = self.bboxes[i].tolist()
            made: dict[str, Any] = {
                "id": first_id + i,
                "image_id": image_id,
                "category_id": self.category_ids[label],
                "bbox": box,
            }
            if self.masks is not None:
                made["segmentation"] = self.masks[i]
                made["area"] = float(coco_mask.area(self.masks[i]))
            else:
                made["area"] = box[2] * box[3]
            annotations.append({**made, "iscrowd": 0, "score": float(self.scores[i])})
        return annotations

    def save_to_img(self, target: Path | str, *, force: bool = False) -> Path:
        """Writes the drawn image.

        Args:
            target: A file, or a folder in which it gets the name of the original.
            force: Whether to replace a file that lies there; the original is never replaced.

        Returns:
            The file written.

        Raises:
            FileError: The file exists, is the original, or cannot be written.
        """
        path = _target(target, self.name, Image.registered_extensions())
        if path.exists() and self.path.exists() and path.samefile(self.path):
            raise FileError(f"{path} is the image itself.", "Choose another folder.")
        picture = draw(load_image(self.path), self)
        with written_whole(path, force=force) as part:
            picture.save(part, quality=92)
        return path

    def save_to_json(self, target: Path | str, *, force: bool = False) -> Path:
        """Writes the objects of this image in COCO format.

        Args:
            target: A `.json` file, or a folder in which it gets the name of the image.
            force: Whether to replace a file that lies there.

        Returns:
            The file written.

        Raises:
            FileError: The file exists or cannot be written.
        """
        path = _target(target, str(Path(self.name).with_suffix(".json")), (".json",))
        write_instances(path, [self], self.classes, self.category_ids, force=force)
        return path

    def _repr_png_(self) -> bytes | None:
        """What a notebook shows: the drawn image, at most 1024 pixels on a side."""
        try:
            picture = draw(load_image(self.path), self)
        except CvtkError:
            return None  # the image has gone; the notebook falls back on the text
        picture.thumbnail((1024, 1024))
        buffer = io.BytesIO()
        picture.save(buffer, format="PNG")
        return buffer.getvalue()


def draw(image: Image.Image | NDArray[Any], result: Result) -> Image.Image:
    """Draws a result on a copy of its image: masks, boxes, class names and scores.

    Args:
        image: The image as it is seen, a Pillow image or an array (H, W, 3) uint8 in RGB.
        result: What was found in it; of the same size.

    Returns:
        The drawn image (RGB).

    Raises:
        ValueError: The image has another size.
    """
    size = (
        image.size
        if isinstance(image, Image.Image)
        else (image.shape[1], image.shape[0])
    )
    if size != (result.width, result.height):
        raise ValueError(
            f"{result.path}: the image is {size}, the result {(result.width, result.height)}"
        )
    # A name that no font here can write is replaced by its category id, which instances.json explains.
    shown = [
        " ".join(name.split()) if writable(name) else f"#{category_id}"
        for name, category_id in zip(result.classes, result.category_ids, strict=True)
    ]
    texts = [
        f"{shown[label]} {score:.2f}"
        for label, score in zip(result.labels, result.scores, strict=True)
    ]
    masks = None if result.masks is None else [decode_mask(rle) for rle in result.masks]
    return draw_objects(
        image, bboxes=result.bboxes, labels=result.labels, texts=texts, masks=masks
    )


def _categories(
    classes: Sequence[str], category_ids: Sequence[int]
) -> list[dict[str, Any]]:
    return [
        {"id": int(i), "name": name, "supercategory": ""}
        for name, i in zip(classes, category_ids, strict=True)
    ]


def _image(result: Result, image_id: int) -> dict[str, Any]:
    return {
        "id": image_id,
        "file_name": result.name,
        "width": int(result.width),
        "height": int(result.height),
    }


def coco_document(
    results: Iterable[Result], classes: Sequence[str], category_ids: Sequence[int]
) -> dict[str, Any]:
    """Results of many images as one COCO document; pycocotools loads it, and its annotations as results too.

    Args:
        results: One for each image.
        classes: Names of all classes.
        category_ids: The id of each.

    Returns:
        `categories`, `images` and `annotations`; ids count from 1.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, result in enumerate(results, 1):
        images.append(_image(result, image_id))
        annotations += result.to_coco(image_id, len(annotations) + 1)
    return {
        "categories": _categories(classes, category_ids),
        "images": images,
        "annotations": annotations,
    }


def write_instances(
    path: Path | str,
    results: Iterable[Result],
    classes: Sequence[str],
    category_ids: Sequence[int],
    *,
    image_ids: Sequence[int] | None = None,
    force: bool = False,
) -> int:
    """Writes what `coco_document` says while the results come in, so that memory stays flat.

    Args:
        path: The JSON file; it appears when it is complete.
        results: One for each image; a generator is read once.
        classes: Names of all classes.
        category_ids: The id of each.
        image_ids: The id of each image; they count from 1 if left out.
        force: Whether to replace a file that lies there.

    Returns:
        How many objects were written.

    Raises:
        FileError: The file exists or cannot be written.
    """
    path = Path(path)
    images: list[str] = []
    count = 0
    with (
        written_whole(path, force=force) as part,
        part.open("w", encoding="utf-8") as file,
    ):
        file.write(
            f'{{"categories": {json.dumps(_categories(classes, category_ids))},\n"annotations": ['
        )
        for number, result in enumerate(results):
            image_id = image_ids[number] if image_ids else number + 1
            images.append(json.dumps(_image(result, image_id)))
            for annotation in result.to_coco(image_id, count + 1):
                file.write(("," if count else "") + "\n" + json.dumps(annotation))
                count += 1
        file.write('\n],\n"images": [\n' + ",\n".join(images) + "\n]}\n")
    return count


def _target(target: Path | str, name: str, suffixes: Iterable[str]) -> Path:
    """A file as given, or `name` in a folder; what ends like a file of this kind is one."""
    path = Path(target)
    return (
        path if path.suffix.lower() in suffixes and not path.is_dir() else path / name
    )
