"""What a prediction is: the objects found in one image, and the forms they are written in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cvtk.data.crops import CutOuts
from cvtk.data.images import read_image, write_image
from cvtk.data.predictions import Found, categories_of, write_predictions
from cvtk.data.reading import USUAL, Reading
from cvtk.errors import CvtkError, FileError
from cvtk.io import CocoRLE, decode_mask
from cvtk.log import for_console
from cvtk.visual.fonts import writable
from cvtk.visual.overlays import Style, draw_objects


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
        pixels: (H, W, 3) uint8 in RGB, of an image that is no file, such as an array or a frame of a video.
        seconds: When a frame is shown, from the beginning of its video.
        reading: How the file was read.

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
    masks: list[CocoRLE] | None = None
    name: str = ""
    pixels: NDArray[np.uint8] | None = None
    seconds: float | None = None
    reading: Reading = USUAL

    def __post_init__(self) -> None:
        fixed: dict[str, Any] = {
            "path": Path(self.path),
            "name": self.name or Path(self.path).name,
            "classes": tuple(self.classes),
            "category_ids": tuple(int(i) for i in self.category_ids),
            "labels": np.asarray(self.labels, dtype=np.int64).reshape(-1),
            "scores": np.asarray(self.scores, dtype=np.float64).reshape(-1),
            "bboxes": np.asarray(self.bboxes, dtype=np.float64).reshape(-1, 4),
        }
        if self.masks is not None:
            fixed["masks"] = [_text_counts(mask) for mask in self.masks]
        for name, value in fixed.items():
            # The only way to set a field of a frozen dataclass, which it is for everybody else.
            object.__setattr__(self, name, value)
        self._require_equal_lengths()
        self._require_known_classes()
        self._require_masks_of_image_size()

    def _require_equal_lengths(self) -> None:
        parts: dict[str, Any] = {
            "labels": self.labels,
            "scores": self.scores,
            "bboxes": self.bboxes,
        }
        if self.masks is not None:
            parts["masks"] = self.masks
        lengths = {name: len(part) for name, part in parts.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"{self.path}: parts of unequal length: {lengths}")

    def _require_known_classes(self) -> None:
        count = len(self.classes)
        if count != len(self.category_ids):
            raise ValueError(
                f"{count} classes but {len(self.category_ids)} category ids"
            )
        if ((self.labels < 0) | (self.labels >= count)).any():
            raise ValueError(
                f"{self.path}: a label is not an index of the {count} classes"
            )

    def _require_masks_of_image_size(self) -> None:
        size = [self.height, self.width]
        for index, mask in enumerate(self.masks or []):
            if list(mask["size"]) != size:
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
        return cls(
            path=path,
            height=height,
            width=width,
            classes=tuple(classes),
            category_ids=tuple(category_ids),
            labels=np.zeros(0, dtype=np.int64),
            scores=np.zeros(0),
            bboxes=np.zeros((0, 4)),
            masks=[] if with_masks else None,
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

    def best(self, count: int | None) -> Result:
        """The objects with the highest scores, at most `count` (None: all), in the order that they have here."""
        strongest_first = np.argsort(-self.scores, kind="stable")
        return self[np.sort(strongest_first[:count])]

    @property
    def names(self) -> list[str]:
        """The class name of each object."""
        return [self.classes[label] for label in self.labels]

    def __str__(self) -> str:
        count = "1 object" if len(self) == 1 else f"{len(self)} objects"
        lines = [f"{self.path} ({self.width} x {self.height}): {count}"]
        longest = max((len(name) for name in self.names), default=0)
        for i, name in enumerate(self.names):
            x, y, w, h = self.bboxes[i]
            where = f"x {x:.1f}  y {y:.1f}  width {w:.1f}  height {h:.1f}"
            lines.append(f"  {name:<{longest}}  {self.scores[i]:.3f}  {where}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Result {self.path}: {len(self)} objects>"

    def print(self) -> None:
        """Prints the objects, one per line, best first as the model gave them."""
        print(for_console(str(self)))

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

    def to_coco(
        self, image_id: int | str = 1, first_id: int = 1
    ) -> list[dict[str, Any]]:
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
            annotation: dict[str, Any] = {
                "id": first_id + i,
                "image_id": image_id,
                "category_id": self.category_ids[label],
                "bbox": box,
            }
            if self.masks is not None:
                annotation["segmentation"] = self.masks[i]
                annotation["area"] = float(coco_mask.area(self.masks[i]))
            else:
                annotation["area"] = box[2] * box[3]
            annotation["iscrowd"] = 0
            annotation["score"] = float(self.scores[i])
            annotations.append(annotation)
        return annotations

    def draw(
        self,
        image: Image.Image | NDArray[Any] | None = None,
        *,
        style: Style = "masks",
    ) -> Image.Image:
        """Draws the objects on a copy of their image, with class names and scores.

        Args:
            image: The image as it is seen (EXIF orientation applied), an array (H, W, 3) in RGB or a Pillow
                image; read from `path` where left out.
            style: "masks" (with boxes), "outlines" (of the masks alone) or "boxes".

        Returns:
            The drawn image, RGB.

        Raises:
            CvtkError: The image is missing or cannot be read.
            ValueError: The image has another size than the result.
        """
        if image is None:
            image = self.pixels
        if image is None:
            image = read_image(self.path, self.reading.for_people())
        size, own = (self.width, self.height), np.asarray(image).shape[1::-1]
        if own != size:
            raise ValueError(f"{self.path}: the image is {own}, the result {size}")
        names = self._written_names()
        scores = [f"{score:.2f}" for score in self.scores]
        texts = [f"{names[k]} {s}" for k, s in zip(self.labels, scores, strict=True)]
        return draw_objects(
            image,
            bboxes=self.bboxes,
            labels=self.labels,
            texts=texts,
            short_texts=scores,
            masks=None if self.masks is None else CutOuts(self.masks),
            class_names=names,
            style=style,
        )

    def _written_names(self) -> list[str]:
        """The class names on one line each; one that no font here can write is replaced by its id."""
        return [
            " ".join(name.split()) if writable(name) else f"#{category_id}"
            for name, category_id in zip(self.classes, self.category_ids, strict=True)
        ]

    def save_to_img(
        self,
        target: Path | str,
        *,
        force: bool = False,
        image: Image.Image | NDArray[Any] | None = None,
        style: Style = "masks",
    ) -> Path:
        """Writes the drawn image.

        Args:
            target: A file, or a folder in which it gets the name of the original.
            force: Whether to replace a file that lies there; the original is never replaced.
            image: As for `draw`.
            style: As for `draw`.

        Returns:
            The file written.

        Raises:
            FileError: The file exists, is the original, or cannot be written.
        """
        path = _target(target, self.name, Image.registered_extensions())
        if path.exists() and self.path.exists() and path.samefile(self.path):
            raise FileError(f"{path} is the image itself.", "Choose another folder.")
        picture = self.draw(image, style=style)
        write_image(picture, path, force=force, quality=92)
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
            picture = self.draw()
        except (CvtkError, ValueError):
            return None  # the image is gone or another; the notebook falls back on the text
        picture.thumbnail((1024, 1024))
        buffer = BytesIO()
        picture.save(buffer, format="PNG")
        return buffer.getvalue()


def _text_counts(rle: CocoRLE) -> CocoRLE:
    """RLE whose counts are text, as JSON takes it; pycocotools gives bytes."""
    counts = rle["counts"]
    if isinstance(counts, bytes):
        counts = counts.decode("ascii")
    return {**rle, "counts": counts}


def found_in(result: Result, image_id: int | str) -> Found:
    """A result as COCO has it: the image and its annotations, with an image's own id."""
    size = {"width": int(result.width), "height": int(result.height)}
    image: dict[str, Any] = {"id": image_id, "file_name": result.name, **size}
    if result.seconds is not None:
        image["seconds"] = round(result.seconds, 6)
    return image, result.to_coco(image_id)


def write_instances(
    path: Path | str,
    results: Iterable[Result],
    classes: Sequence[str],
    category_ids: Sequence[int],
    *,
    image_ids: Sequence[int | str] | None = None,
    force: bool = False,
) -> int:
    """Writes results of many images as one COCO document while they come in, so that memory stays flat.

    pycocotools loads it, and its annotations as results too. Ids of annotations count from 1.

    Args:
        path: The JSON file; it appears when it is complete.
        results: One per image; a generator is read once.
        classes: Names of all classes.
        category_ids: The id of each.
        image_ids: The id of each image; they count from 1 if left out.
        force: Whether to replace a file that lies there.

    Returns:
        How many objects were written.

    Raises:
        FileError: The file exists or cannot be written.
    """
    found = (
        found_in(result, image_ids[number] if image_ids else number + 1)
        for number, result in enumerate(results)
    )
    categories = categories_of(classes, category_ids)
    return write_predictions(Path(path), categories, found, force=force)


def _target(target: Path | str, name: str, suffixes: Iterable[str]) -> Path:
    """A file as given, or `name` in a folder; what ends like a file of this kind is one."""
    path = Path(target)
    is_a_file = path.suffix.lower() in suffixes and not path.is_dir()
    return path if is_a_file else path / name
