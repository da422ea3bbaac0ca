"""Some annotations of a set as arrays, twenty thousand at a time, for the checks that look at many at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cvtk.data.checks.problems import Problems, Severity
from cvtk.data.types import RLE, Annotation, Id, Image, Polygons, show_id

SIZE = 20_000
FIX = "`cvtk data check FILE --fix OUT.json` mends it."
DROP = "Label it again, or let `cvtk data check FILE --fix OUT.json` drop it."


def describe(annotation: Annotation, image: Image | None) -> str:
    """How a problem calls an annotation."""
    where = f" ({image.file_name[:100]})" if image is not None else ""
    return f"annotation {show_id(annotation.id)}{where}"


class Chunk:
    """Annotations with what belongs to each, by index.

    Attributes:
        annotations: N annotations.
        images: The image of each, or None where it points nowhere.
        size: (N, 2) width and height of the image in pixels, NaN where unknown.
        box: (N, 4) x, y, width, height in pixels, NaN where there is none.
        segmentations: The mask of each as it is stated, or None.
    """

    def __init__(
        self,
        annotations: list[Annotation],
        images: dict[Id, Image],
        file: object,
        problems: Problems,
    ) -> None:
        count = len(annotations)
        self.annotations = annotations
        self.images = [images.get(a.image_id) for a in annotations]
        self.size = np.full((count, 2), np.nan)
        self.box = np.full((count, 4), np.nan)
        self.segmentations: list[Polygons | RLE | None] = [None] * count
        self._file, self._problems = file, problems
        for k, (annotation, image) in enumerate(
            zip(annotations, self.images, strict=True)
        ):
            if image is not None and image.size:
                self.size[k] = image.size
            if isinstance(annotation.bbox, list) and len(annotation.bbox) == 4:
                self.box[k] = annotation.bbox

    def tell(
        self, k: int, severity: Severity, kind: str, message: str, remedy: str
    ) -> None:
        """Records a problem of the annotation at an index."""
        item = describe(self.annotations[k], self.images[k])
        self._problems.add(severity, kind, self._file, item, message, remedy)

    def tell_all(
        self, which: NDArray[np.bool_], kind: str, message: str, remedy: str = DROP
    ) -> None:
        """Records a warning for each annotation where `which` (N,) holds."""
        for k in np.flatnonzero(which):
            self.tell(int(k), "warning", kind, message, remedy)

    def tell_set(
        self, severity: Severity, kind: str, message: str, remedy: str
    ) -> None:
        """Records a problem of the annotations as a whole."""
        self._problems.add(severity, kind, self._file, "annotations", message, remedy)

    def extents(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Left, top, right, bottom of the boxes (N, 4), and which of them have no area (N,)."""
        with np.errstate(invalid="ignore", over="ignore"):
            corners = np.column_stack(
                (self.box[:, :2], self.box[:, :2] + self.box[:, 2:])
            )
            flat: NDArray[np.bool_] = np.any(self.box[:, 2:] <= 0, axis=1)
        return corners, flat
