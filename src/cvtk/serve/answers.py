"""The forms in which a service answers."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Literal, TypeAlias

import msgspec
from PIL import Image

from cvtk.data.predictions import categories_of
from cvtk.measure.measure import as_csv, measure_objects
from cvtk.results import Result, found_in
from cvtk.visual.overlays import Style

Form: TypeAlias = Literal["coco", "png", "csv"]


def _coco(result: Result, style: Style) -> bytes:
    """A COCO document of one image, as `inference` writes it."""
    image, annotations = found_in(result, 1)
    categories = categories_of(result.classes, result.category_ids)
    return msgspec.json.encode(
        {"categories": categories, "annotations": annotations, "images": [image]}
    )


def _png(result: Result, style: Style) -> bytes:
    """The drawn image."""
    return png_of(result.draw(style=style))


def _csv(result: Result, style: Style) -> bytes:
    """The objects as `cvtk measure` lists them in objects.csv."""
    return as_csv(measure_objects(result).objects).encode()


_FORMS: dict[Form, tuple[str, Callable[[Result, Style], bytes]]] = {
    "coco": ("application/json", _coco),
    "png": ("image/png", _png),
    "csv": ("text/csv; charset=utf-8", _csv),
}


def png_of(image: Image.Image) -> bytes:
    """A picture as the bytes of a PNG file."""
    buffer = BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def written(result: Result, form: Form, style: Style) -> tuple[bytes, str]:
    """A result in a form, and what HTTP calls it."""
    kind, write = _FORMS[form]
    return write(result, style), kind
