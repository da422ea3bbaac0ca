"""The masks of a training's images, drawn once and small: the pixels of each object's box.

MMDetection draws the mask of each object as large as the image, and each step of a pipeline resizes, crops, shifts,
flips and pads all of them. All these steps pick rows and columns, so here they only note which ones: `rows` and
`columns` of a `View`. The pixels are picked when a network asks for them, and they are the same, bit for bit. What does
not pick rows and columns, such as a rotation, is left to MMDetection.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import cv2
import mmcv
import numpy as np
import torch
from mmcv.ops import roi_align
from mmdet.datasets.transforms import LoadAnnotations
from mmdet.structures.bbox import HorizontalBoxes, get_box_type
from mmdet.structures.mask import BitmapMasks
from numpy.typing import NDArray
from pycocotools import mask as api

from cvtk.data.masks import decode_counts
from cvtk.recipe.nodes import each_dict

Indices = NDArray[np.intp]

# Bytes of drawn masks that each worker of a training keeps: 6,700 objects in boxes of 100 x 100 pixels.
KEPT = 64 * 2**20


class Piece(NamedTuple):
    """The part of a mask that holds its object.

    Attributes:
        bitmap: (h, w) of uint8, 1 inside and 0 outside; never written to, since copies share it.
        top: The row of its first row in the image as it was loaded.
        left: The column of its first column there.
        view: Which of the views shows it.
    """

    bitmap: NDArray[np.uint8]
    top: int
    left: int
    view: int = 0


class View(NamedTuple):
    """Which pixels of an image as it was loaded are seen now.

    Where they are not -1, rows only increase or only decrease, without a gap; and so do columns.

    Attributes:
        rows: (H,) for each row that is seen the one of the loaded image; -1 is outside of it.
        columns: (W,) the same for columns.
    """

    rows: Indices
    columns: Indices


class TrainingMasks(BitmapMasks):  # type: ignore[misc]
    """MMDetection's `BitmapMasks` of the same pixels, until `masks` is asked for as pieces and views of them.

    Args:
        pieces: Of each object.
        views: What `Piece.view` counts in.
        height: Of the masks, in pixels.
        width: Of the masks, in pixels.
    """

    def __init__(
        self, pieces: Sequence[Piece], views: Sequence[View], height: int, width: int
    ) -> None:
        self.height, self.width = height, width
        self._pieces, self._views = pieces, views

    @functools.cached_property
    def masks(self) -> NDArray[np.uint8]:
        """(N, H, W) the masks; from then on these count, since a step may write into them."""
        return self._draw()

    @property
    def _drawn(self) -> bool:
        return "masks" in vars(self)

    def _draw(self) -> NDArray[np.uint8]:
        drawn = np.zeros((len(self._pieces), self.height, self.width), np.uint8)
        for mask, (top, left, part) in zip(drawn, self._parts(), strict=True):
            mask[top : top + part.shape[0], left : left + part.shape[1]] = part
        return drawn

    def _parts(self) -> Iterator[tuple[int, int, NDArray[np.uint8]]]:
        """Yields of each mask the first row and column of what is seen of its piece, and these pixels."""
        for bitmap, top, left, view in self._pieces:
            first, rows = _seen(self._views[view].rows, top, bitmap.shape[0])
            start, columns = _seen(self._views[view].columns, left, bitmap.shape[1])
            yield first, start, bitmap.take(rows, axis=0).take(columns, axis=1)

    def _through(self, rows: Indices, columns: Indices) -> TrainingMasks:
        """The masks of which each row and column is one of these, counted in the masks as they are; -1 is empty."""
        views = [
            View(np.append(view.rows, -1)[rows], np.append(view.columns, -1)[columns])
            for view in self._views
        ]
        return TrainingMasks(self._pieces, views, len(rows), len(columns))

    def __len__(self) -> int:
        return len(self.masks) if self._drawn else len(self._pieces)

    def __getitem__(self, index: Any) -> BitmapMasks:
        if self._drawn or isinstance(index, tuple):
            return super().__getitem__(index)
        chosen = np.arange(len(self))[index].reshape(-1)
        pieces = [self._pieces[number] for number in chosen]
        return TrainingMasks(pieces, self._views, self.height, self.width)

    def __deepcopy__(self, memo: Any) -> BitmapMasks:
        if self._drawn:
            return BitmapMasks(self.masks.copy(), self.height, self.width)
        return TrainingMasks(self._pieces, self._views, self.height, self.width)

    def __reduce__(self) -> tuple[Any, ...]:
        """Only what is seen goes from a worker to the training."""
        if self._drawn:
            return BitmapMasks, (self.masks, self.height, self.width)
        pieces = [Piece(part, top, left) for top, left, part in self._parts()]
        views = [whole_view(self.height, self.width)]
        return TrainingMasks, (pieces, views, self.height, self.width)

    def rescale(self, scale: Any, interpolation: str = "nearest") -> BitmapMasks:
        """Resizes, and keeps the ratio of height to width; as all that follow, see `BitmapMasks`."""
        if self._drawn:
            return super().rescale(scale, interpolation)
        width, height = mmcv.rescale_size((self.width, self.height), scale)
        return self.resize((height, width), interpolation)

    def resize(
        self, out_shape: tuple[int, int], interpolation: str = "nearest"
    ) -> BitmapMasks:
        """Resizes to (height, width)."""
        pillow = mmcv.image.io.imread_backend == "pillow"
        if self._drawn or pillow or interpolation != "nearest" or min(out_shape) < 1:
            return super().resize(out_shape, interpolation)
        rows, columns = map(nearest, (self.height, self.width), out_shape)
        return self._through(rows, columns)

    def flip(self, flip_direction: str = "horizontal") -> BitmapMasks:
        """Flips along a direction."""
        known = flip_direction in ("horizontal", "vertical", "diagonal")
        if self._drawn or not known:
            return super().flip(flip_direction)
        rows, columns = whole_view(self.height, self.width)
        if flip_direction != "vertical":
            columns = columns[::-1]
        if flip_direction != "horizontal":
            rows = rows[::-1]
        return self._through(rows, columns)

    def pad(self, out_shape: tuple[int, int], pad_val: int = 0) -> BitmapMasks:
        """Adds rows at the bottom and columns on the right."""
        smaller = out_shape[0] < self.height or out_shape[1] < self.width
        if self._drawn or pad_val or smaller:
            return super().pad(out_shape, pad_val)
        return self.expand(*out_shape, 0, 0)

    def expand(
        self, expanded_h: int, expanded_w: int, top: int, left: int
    ) -> BitmapMasks:
        """Puts the masks into larger ones."""
        below, behind = expanded_h - top - self.height, expanded_w - left - self.width
        if self._drawn or min(top, left, below, behind) < 0:
            return super().expand(expanded_h, expanded_w, top, left)
        rows = placed(self.height, expanded_h, top)
        return self._through(rows, placed(self.width, expanded_w, left))

    def crop(self, bbox: NDArray[Any]) -> BitmapMasks:
        """Crops to x1, y1, x2, y2, where these are inside."""
        if self._drawn or bbox.dtype.kind not in "iu":
            return super().crop(bbox)
        x1, x2 = np.clip(bbox[0::2], 0, self.width).tolist()
        y1, y2 = np.clip(bbox[1::2], 0, self.height).tolist()
        height, width = max(y2 - y1, 1), max(x2 - x1, 1)
        if y1 + height > self.height or x1 + width > self.width:
            return super().crop(bbox)
        return self._through(np.arange(y1, y1 + height), np.arange(x1, x1 + width))

    def translate(
        self,
        out_shape: tuple[int, int],
        offset: Any,
        direction: str = "horizontal",
        border_value: int = 0,
        interpolation: str = "bilinear",
    ) -> BitmapMasks:
        """Crops or pads to (height, width), and then shifts."""
        right, down = right_and_down(offset, direction)
        whole = float(right).is_integer() and float(down).is_integer()
        same = interpolation in ("bilinear", "nearest") and not border_value
        if self._drawn or not whole or not same:
            return super().translate(
                out_shape, offset, direction, border_value, interpolation
            )
        rows = placed(self.height, out_shape[0], int(down))
        return self._through(rows, placed(self.width, out_shape[1], int(right)))

    def crop_and_resize(
        self,
        bboxes: Any,
        out_shape: tuple[int, int],
        inds: Any,
        device: Any = "cpu",
        interpolation: str = "bilinear",
        binarize: bool = True,
    ) -> BitmapMasks:
        """Cuts boxes out of the masks. MMDetection copies a whole mask for each box, which Mask R-CNN has 128 of."""
        if not len(self) or not len(bboxes):
            return super().crop_and_resize(
                bboxes, out_shape, inds, device, interpolation, binarize
            )
        boxes = torch.as_tensor(bboxes, device=device)
        used, which = torch.as_tensor(inds, device=device).unique(return_inverse=True)
        rois = torch.cat((which.to(boxes.dtype)[:, None], boxes), dim=1)
        masks = torch.from_numpy(self.masks).to(device).index_select(0, used)
        masks = masks.to(boxes.dtype)[:, None]
        cut = roi_align(masks, rois, out_shape, 1.0, 0, "avg", True).squeeze(1)
        cut = cut >= 0.5 if binarize else cut
        return BitmapMasks(cut.cpu().numpy(), *out_shape)

    @property
    def areas(self) -> Any:
        """(N,) the pixels of each mask."""
        if self._drawn:
            return super().areas
        found = [np.count_nonzero(part) for _, _, part in self._parts()]
        return np.array(found, np.uint64)

    def get_bboxes(self, dst_type: Any = "hbb") -> Any:
        """The boxes around the masks, x1, y1, x2, y2; zeros for an empty one."""
        if self._drawn or get_box_type(dst_type)[1] is not HorizontalBoxes:
            return super().get_bboxes(dst_type)
        boxes = np.zeros((len(self), 4), np.float32)
        for box, (top, left, part) in zip(boxes, self._parts(), strict=True):
            x, y, width, height = cv2.boundingRect(part) if part.size else (0, 0, 0, 0)
            if width:
                box[:] = left + x, top + y, left + x + width, top + y + height
        return HorizontalBoxes(boxes)

    def to_tensor(self, dtype: Any, device: Any) -> Any:
        """(N, H, W) the masks."""
        if self._drawn:
            return super().to_tensor(dtype, device)
        return torch.from_numpy(self._draw()).to(device=device, dtype=dtype)

    @classmethod
    def cat(cls, masks: Sequence[BitmapMasks]) -> BitmapMasks:
        """Those of several, in turn."""
        if not all(isinstance(m, TrainingMasks) and not m._drawn for m in masks):
            return BitmapMasks.cat(masks)
        sizes = {(each.height, each.width) for each in masks}
        if len(sizes) != 1:
            return BitmapMasks.cat(masks)
        pieces: list[Piece] = []
        views: list[View] = []
        for each in masks:
            pieces += [p._replace(view=p.view + len(views)) for p in each._pieces]
            views += each._views
        return TrainingMasks(pieces, views, *sizes.pop())


def whole_view(height: int, width: int) -> View:
    """All of an image, in pixels."""
    return View(np.arange(height), np.arange(width))


def nearest(old: int, new: int) -> Indices:
    """(new,) which of `old` pixels OpenCV takes for each of `new`, by its rule of the nearest neighbour."""
    scale = new / old
    step = 1 / scale  # rounded twice, as there: old / new is another number at times
    return np.minimum((np.arange(new) * step).astype(np.intp), old - 1)


def right_and_down(offset: Any, direction: str) -> tuple[float, float]:
    """The offset in each direction, as `BitmapMasks.translate` takes it; "both" is known to the maintained fork alone."""
    if direction == "horizontal":
        return offset, 0
    if direction == "vertical":
        return 0, offset
    return offset if isinstance(offset, tuple) else (offset, offset)


def placed(old: int, new: int, at: int) -> Indices:
    """(new,) the first `new` of `old` pixels, moved by `at`; -1 where there is none."""
    indices = np.arange(new) - at
    return np.where((indices >= 0) & (indices < min(old, new)), indices, -1)


def _seen(view: Indices, start: int, length: int) -> tuple[int, Indices]:
    """Where a view first shows one of `length` pixels from `start` on, and which of them it shows from there."""
    inside = np.flatnonzero((view >= start) & (view < start + length))
    if not len(inside):
        return 0, inside
    first = int(inside[0])
    return first, view[first : inside[-1] + 1] - start


class LoadTrainingMasks(LoadAnnotations):  # type: ignore[misc]
    """MMDetection's step, with `TrainingMasks` where it makes `BitmapMasks`.

    As `ReadImage` does with images, it keeps what it has drawn for the next epoch.

    Args:
        keep: Bytes of masks to keep in this process.
        **own: As for MMDetection's step.
    """

    def __init__(self, keep: int = 0, **own: Any) -> None:
        super().__init__(**own)
        self._room = keep
        self._kept: dict[Any, list[Piece]] = {}

    def _load_masks(self, results: dict[str, Any]) -> None:
        if not self.poly2mask:
            super()._load_masks(results)
            return
        height, width = results["ori_shape"]
        image = (results.get("img_path"), results.get("img_id"))
        masks = self._process_masks(results)  # it also notes which are invalid
        pieces = self._kept.get(image)
        if pieces is None:
            drawn = [piece_of(mask, height, width) for mask in masks]
            pieces = [piece for piece in drawn if piece is not None]
            if len(pieces) < len(masks):
                super()._load_masks(results)
                return
            self._keep(image, pieces)
        views = [whole_view(height, width)]
        results["gt_masks"] = TrainingMasks(pieces, views, height, width)

    def _keep(self, image: tuple[Any, Any], pieces: list[Piece]) -> None:
        size = sum(piece.bitmap.nbytes for piece in pieces)
        if None not in image and size <= self._room:
            self._kept[image] = pieces
            self._room -= size


def piece_of(mask: Any, height: int, width: int) -> Piece | None:
    """Draws a mask in its box.

    A polygon is drawn in its place in the image, since pycocotools rounds fractions of a pixel in another way elsewhere.

    Args:
        mask: Polygons, or an RLE with its counts as a list or compressed.
        height: Of the image, in pixels.
        width: Of the image, in pixels.

    Returns:
        The pixels and their place; None for an RLE that does not fit the image.
    """
    rle = mask
    if isinstance(mask, list):
        rle = api.merge(api.frPyObjects(mask, height, width))
    elif isinstance(mask["counts"], list):
        rle = api.frPyObjects(mask, height, width)
    counts = decode_counts(rle["counts"])
    fits = counts.sum() == height * width and counts.min() >= 0
    if tuple(rle["size"]) != (height, width) or not fits:
        return None
    left, top, w, h = (int(number) for number in api.toBbox(rle))
    # A run goes on in the next column where the box is as high as the image, or not at all.
    begin, end = np.cumsum(counts)[: len(counts) // 2 * 2].reshape(-1, 2).T
    lengths, some = end - begin, end > begin
    begin = (begin // height - left) * h + begin % height - top
    begin, lengths = begin[some], lengths[some]
    borders = np.stack((begin, begin + lengths), axis=1).ravel()
    runs = np.diff(borders, prepend=0, append=w * h)
    bits = np.arange(len(runs), dtype=np.uint8) % 2
    bitmap = np.repeat(bits, runs).reshape(w, h).T
    return Piece(np.ascontiguousarray(bitmap), top, left)


def load_training_masks(node: Any) -> None:
    """Puts `LoadTrainingMasks` in the place of MMDetection's step, everywhere in a configuration.

    Args:
        node: The configuration, or a part; changed in place.
    """
    for part in each_dict(node):
        if part.get("type") in ("LoadAnnotations", "mmdet.LoadAnnotations"):
            part.update(type=LoadTrainingMasks, keep=KEPT)
