"""A data set with large images, cut into tiles to train on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET, Raw

from cvtk.data.coco import write
from cvtk.data.crops import Crop, cut_out
from cvtk.data.images import read_image, resolve, write_image
from cvtk.data.masks import to_rle
from cvtk.data.reading import USUAL, Reading
from cvtk.data.tiles import Tile, tiles_of
from cvtk.data.types import Annotation, Dataset, Id, Image
from cvtk.errors import DataError
from cvtk.io import encode_part, require_free


@dataclass
class Cut:
    """What became of the objects of a data set.

    Attributes:
        file: The COCO file of the tiles.
        tiles: How many there are.
        empty: Tiles without an object, which are left out unless they are wanted.
        whole: Annotations in tiles that show all of the object.
        cut: Annotations in tiles that show enough of it.
        left_out: Views of objects that show too little of it.
        lost: Objects that are in no tile, since none shows enough of them.
    """

    file: Path
    tiles: int = 0
    empty: int = 0
    whole: int = 0
    cut: int = 0
    left_out: int = 0
    lost: int = 0
    _seen: set[Id] = field(default_factory=set)


def cut_into_tiles(
    dataset: Dataset,
    output: str | Path,
    *,
    size: int,
    overlap: float = 0.2,
    share: float = 0.5,
    empty: bool = False,
    reading: Reading = USUAL,
    force: bool = False,
) -> Cut:
    """Writes the tiles of all images as PNG, and a COCO file of the annotations in them.

    The COCO file has the name of the source's. Each tile notes the image it is `tile_of`, and its `left` and `top` in
    it, in pixels. An object that lies in a tile as a whole keeps its polygons; of one that is cut, the mask in the tile
    is written as RLE. A crowd is kept wherever it is seen.

    Args:
        dataset: The set; its images are read one at a time.
        output: A folder.
        size: Of the tiles, in pixels.
        overlap: The share of a tile that the next one sees too, from 0 to below 1.
        share: The share of an object that a tile has to show, above 0 and up to 1; else it is left out there.
        empty: Whether tiles without an object are written too.
        reading: How the images are read. Values of more than 8 bits are scaled over the whole image.
        force: Whether files may be replaced.

    Raises:
        FileError: An image is missing, or a file exists.
        DataError: There are no images, or a mask cannot be drawn.
    """
    if not dataset.images:
        raise DataError(
            f"{dataset.file} has no images to cut.", "Is this the right file?"
        )
    output = Path(output)
    file = output / (dataset.file.name if dataset.file else "tiles.json")
    require_free(file, force=force)
    done = Cut(file)
    result = Dataset(categories=dataset.categories, folder=output, extra=dataset.extra)
    by_image, names = dataset.by_image(), _stems(dataset.images)
    for image in dataset.images:
        pixels = read_image(resolve(dataset.folder, image.file_name), reading)
        height, width = pixels.shape[:2]
        objects = [_Object.of(a, height, width) for a in by_image[image.id]]
        for tile in tiles_of(width, height, size, overlap):
            found = list(_in_tile(objects, tile, share, done))
            if not found:
                done.empty += 1
                if not empty:
                    continue
            name = f"images/{names[image.id]}_{tile.left}_{tile.top}.png"
            part = pixels[tile.top : tile.bottom, tile.left : tile.right]
            _save(part, output / name, force)
            _add(result, found, _tile_image(image, tile, name, len(result.images) + 1))
    done.tiles = len(result.images)
    done.lost = sum(a.id not in done._seen for a in dataset.annotations)
    write(result, file, force=force)
    return done


def _save(part: Any, file: Path, force: bool) -> None:
    from PIL import Image as Pillow

    write_image(Pillow.fromarray(part), file, force=force)


def _stems(images: list[Image]) -> dict[Id, str]:
    """A name for the tiles of each image: its path without the suffix, and unique."""
    stems = {
        image.id: re.sub(
            r'[\x00-\x1f\\/:*?"<>|]', "_", str(Path(image.file_name).with_suffix(""))
        )[-80:]
        for image in images
    }
    counts = Counter(stems.values())
    return {
        key: stem if counts[stem] == 1 else f"{stem}_{number}"
        for number, (key, stem) in enumerate(stems.items(), 1)
    }


def _tile_image(image: Image, tile: Tile, name: str, number: int) -> Image:
    width, height = tile.size
    place = {"tile_of": image.file_name, "left": tile.left, "top": tile.top}
    extra = {key: Raw(msgspec.json.encode(value)) for key, value in place.items()}
    known = {} if image.extra is UNSET else image.extra
    return Image(number, name, width, height, {**known, **extra})


@dataclass(frozen=True)
class _Object:
    """An annotation, where it is in the image, and how large.

    Attributes:
        annotation: It.
        crop: Its mask; None where it has a box alone.
        place: Left, top, right, bottom in pixels.
        area: In pixels.
    """

    annotation: Annotation
    crop: Crop | None
    place: tuple[float, float, float, float]
    area: float

    @classmethod
    def of(cls, annotation: Annotation, height: int, width: int) -> _Object:
        segmentation = annotation.segmentation
        if segmentation:
            crop = cut_out(to_rle(segmentation, width, height))
            if crop is None:
                return cls(annotation, None, (0, 0, 0, 0), 0)
            rows, columns = crop.mask.shape
            place = (crop.x, crop.y, crop.x + columns, crop.y + rows)
            return cls(annotation, crop, place, float(np.count_nonzero(crop.mask)))
        x, y, w, h = annotation.box or (0, 0, 0, 0)
        return cls(annotation, None, (x, y, x + w, y + h), max(w, 0) * max(h, 0))


def _in_tile(
    objects: list[_Object], tile: Tile, share: float, done: Cut
) -> Iterator[Annotation]:
    """The annotations of a tile, with ids that are not set yet."""
    for item in objects:
        part = _part(item, tile)
        if part is None:
            continue
        area, found = part
        if area < share * item.area and not item.annotation.is_crowd:
            done.left_out += 1
            continue
        if area < item.area:
            done.cut += 1
        else:
            done.whole += 1
        done._seen.add(item.annotation.id)
        yield found


def _part(item: _Object, tile: Tile) -> tuple[float, Annotation] | None:
    """How much of an object a tile shows, in pixels, and as what; None where it shows nothing."""
    left, top = max(item.place[0], tile.left), max(item.place[1], tile.top)
    right, bottom = min(item.place[2], tile.right), min(item.place[3], tile.bottom)
    if left >= right or top >= bottom:
        return None
    box = [left - tile.left, top - tile.top, right - left, bottom - top]
    found = msgspec.structs.replace(item.annotation, bbox=[float(v) for v in box])
    if item.crop is None:
        area = box[2] * box[3]
        found.area = float(area)
        return area, found
    crop = item.crop
    window = crop.mask[
        int(top) - crop.y : int(bottom) - crop.y,
        int(left) - crop.x : int(right) - crop.x,
    ]
    area = float(np.count_nonzero(window))
    if not area:
        return None
    found.area = area
    if area == item.area:
        found.segmentation = _moved(item, tile)
        return area, found
    width, height = tile.size
    rle = encode_part(window, int(box[0]), int(box[1]), height, width)
    found.segmentation = rle
    around = cut_out(rle)
    assert around is not None
    rows, columns = around.mask.shape
    found.bbox = [float(v) for v in (around.x, around.y, columns, rows)]
    return area, found


def _moved(item: _Object, tile: Tile) -> Any:
    """The mask of an object that lies in a tile as a whole: its polygons stay polygons."""
    segmentation = item.annotation.segmentation
    if isinstance(segmentation, list):
        offsets = (tile.left, tile.top)
        return [
            [value - offsets[k % 2] for k, value in enumerate(polygon)]
            for polygon in segmentation
        ]
    assert item.crop is not None
    crop, (width, height) = item.crop, tile.size
    return encode_part(crop.mask, crop.x - tile.left, crop.y - tile.top, height, width)


def _add(result: Dataset, found: list[Annotation], image: Image) -> None:
    result.images.append(image)
    for annotation in found:
        annotation.id = len(result.annotations) + 1
        annotation.image_id = image.id
        result.annotations.append(annotation)
