"""What was found in tiles that overlap, put together: objects on seams become one, and no object is there twice.

Two neighbours both see the part that they share. So two objects of one class are the same if they agree there: not
their boxes, which differ where one tile sees half of an object, but their pixels in the shared part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cvtk.data.crops import Crop, cut_out
from cvtk.data.tiles import Tile
from cvtk.io import CocoRLE, encode_part
from cvtk.results import Result

SAME = 0.5  # IoU in the shared part from which two objects are one
INSIDE = 0.6  # of a cut object, in the shared part, that lies in another: then it is a piece of it
WEAK = 1 / 3  # of another view's score: then a view does not say what the object is
BEYOND = 0.1  # of an object's pixels where another tile, which says that it sees all of it, sees nothing
EDGE = 0.01  # of a tile: what comes as close to its edge may go on behind it
CROPS = 1024  # masks that are kept unpacked


@dataclass(frozen=True)
class Piece:
    """An object as one tile shows it, at its place in the image.

    Attributes:
        tile: The tile.
        label: Index of its class.
        score: 0 to 1.
        box: Left, top, right and bottom, in pixels.
        mask: RLE of the image's size; None from a detector.
        cut: Whether it comes so close to the tile's edge that it may go on behind it.
    """

    tile: Tile
    label: int
    score: float
    box: tuple[float, float, float, float]
    mask: CocoRLE | None
    cut: bool


def pieces_of(result: Result, tile: Tile, height: int, width: int) -> Iterator[Piece]:
    """The objects of a tile, at their places in an image of this height and width."""
    for index, label in enumerate(result.labels):
        x, y, w, h = result.bboxes[index].tolist()
        box = (x, y, x + w, y + h)
        mask = None
        if result.masks is not None:
            crop = cut_out(result.masks[index])
            if crop is None:
                continue  # nothing that could be drawn or measured
            mask = encode_part(
                crop.mask, crop.x + tile.left, crop.y + tile.top, height, width
            )
            rows, columns = crop.mask.shape
            edges = (crop.x, crop.y, crop.x + columns, crop.y + rows)
        else:
            edges = box
        cut = _is_cut(edges, tile, height, width)
        left, top, right, bottom = box
        moved = (
            left + tile.left,
            top + tile.top,
            right + tile.left,
            bottom + tile.top,
        )
        yield Piece(tile, int(label), float(result.scores[index]), moved, mask, cut)


def _is_cut(edges: Sequence[float], tile: Tile, height: int, width: int) -> bool:
    """Whether something with these edges in a tile may go on in the next one; the image's own border cuts nothing."""
    near = max(1.0, EDGE * max(tile.size))
    left, top, right, bottom = edges
    tile_width, tile_height = tile.size
    return bool(
        (left < near and tile.left > 0)
        or (top < near and tile.top > 0)
        or (right > tile_width - near and tile.right < width)
        or (bottom > tile_height - near and tile.bottom < height)
    )


def merge(
    pieces: Sequence[Piece], tiles: Sequence[Tile], height: int, width: int
) -> list[Piece]:
    """The objects of an image of this height and width, the best first.

    Of an object that one tile sees as a whole, the best such view is kept, and what neighbours see of it is left
    out. What a tile cuts off is left out as well where another tile sees all of it and more. An object that no
    tile sees as a whole is the union of its pieces, with the highest of their scores.

    Args:
        pieces: What the tiles show.
        tiles: All tiles, also those in which nothing was found.
        height: Of the image.
        width: Of the image.
    """
    return _Merging(pieces, tiles, height, width).run()


class _Merging:
    def __init__(
        self, pieces: Sequence[Piece], tiles: Sequence[Tile], height: int, width: int
    ) -> None:
        self.pieces = pieces
        self.tiles = tiles
        self.size = (height, width)
        self.crop: Callable[[int], Crop] = lru_cache(CROPS)(self._crop)

    def _crop(self, index: int) -> Crop:
        mask = self.pieces[index].mask
        assert mask is not None
        found = cut_out(mask)
        assert found is not None
        return found

    def run(self) -> list[Piece]:
        """The objects, the best first."""
        twins = self._twins()
        order = sorted(range(len(self.pieces)), key=lambda i: -self.pieces[i].score)
        cut = {i for i in order if self.pieces[i].cut or self._goes_on(i, twins[i])}
        gone = {i for i in cut if self._is_seen_better(i)}
        objects = []
        for index in order:
            if index not in cut and index not in gone:
                objects.append(self.pieces[index])
                gone |= twins[index]
        left = [i for i in order if i in cut and i not in gone]
        objects += [self._union(group) for group in self._groups(left, twins)]
        return sorted(objects, key=lambda piece: -piece.score)

    def _is_seen_better(self, index: int) -> bool:
        """Whether another tile would show all of a piece without cutting it, and so what is behind the edge too."""
        piece = self.pieces[index]
        left, top, right, bottom = piece.box
        if piece.mask is not None:
            area = _tile_of(self.crop(index))
            left, top, right, bottom = area.left, area.top, area.right, area.bottom
        for tile in self.tiles:
            x, y = tile.left, tile.top
            edges = (left - x, top - y, right - x, bottom - y)
            if tile != piece.tile and not _is_cut(edges, tile, *self.size):
                return True
        return False

    def _twins(self) -> list[set[int]]:
        """For each piece, the pieces of other tiles that are the same object."""
        twins: list[set[int]] = [set() for _ in self.pieces]
        by_tile: dict[Tile, list[int]] = {}
        for index, piece in enumerate(self.pieces):
            by_tile.setdefault(piece.tile, []).append(index)
        tiles = list(by_tile)
        for number, one in enumerate(tiles):
            for other in tiles[number + 1 :]:
                shared = one.common(other)
                if shared is None:
                    continue
                for a, b in self._near(by_tile[one], by_tile[other], shared):
                    if self._are_one(a, b, shared):
                        twins[a].add(b)
                        twins[b].add(a)
        return twins

    def _near(
        self, ones: Sequence[int], others: Sequence[int], shared: Tile
    ) -> Iterator[tuple[int, int]]:
        """Pairs of one class whose boxes touch in the shared part of their tiles."""
        first, second = (
            _clipped([self.pieces[i].box for i in part], shared)
            for part in (ones, others)
        )
        low = np.maximum(first[:, None, :2], second[None, :, :2])
        high = np.minimum(first[:, None, 2:], second[None, :, 2:])
        for a, b in np.argwhere((low < high).all(axis=2)).tolist():
            if self.pieces[ones[a]].label == self.pieces[others[b]].label:
                yield ones[a], others[b]

    def _are_one(self, a: int, b: int, shared: Tile) -> bool:
        """Whether two pieces agree in the part that both tiles see."""
        one, other = self._area(a, shared), self._area(b, shared)
        both = self._common_area(a, b, shared)
        if not both:
            return False
        if both >= SAME * (one + other - both):
            return True
        part_of_other = self.pieces[a].cut and both >= INSIDE * one
        part_of_one = self.pieces[b].cut and both >= INSIDE * other
        return part_of_other or part_of_one

    def _goes_on(self, index: int, twins: set[int]) -> bool:
        """Whether neighbours see the object where this piece's tile sees nothing: so it is not the whole."""
        tile = self.pieces[index].tile
        for twin in twins:
            if self._is_weak(twin, index):
                continue
            inside, everywhere = self._area(twin, tile), self._area(twin, None)
            if everywhere - inside > BEYOND * everywhere:
                return True
        return False

    def _is_weak(self, index: int, beside: int) -> bool:
        """Whether a piece is so much less sure than another that it is not believed: it may cover two objects."""
        return self.pieces[index].score < WEAK * self.pieces[beside].score

    def _groups(
        self, indices: Sequence[int], twins: Sequence[set[int]]
    ) -> list[list[int]]:
        """Pieces that are one object, also by way of others; the surest come first, and weak ones are left out."""
        left = dict.fromkeys(indices)
        groups = []
        while left:
            group = [next(iter(left))]
            del left[group[0]]
            for index in group:  # grows while it is gone through
                for twin in sorted(twins[index] & left.keys()):
                    del left[twin]
                    if not self._is_weak(twin, group[0]):
                        group.append(twin)
            groups.append(group)
        return groups

    def _area(self, index: int, part: Tile | None) -> float:
        """The pixels of a piece in a part of the image, or in all of it."""
        if self.pieces[index].mask is None:
            left, top, right, bottom = self.pieces[index].box
            if part is not None:
                left, top = max(left, part.left), max(top, part.top)
                right, bottom = min(right, part.right), min(bottom, part.bottom)
            return max(right - left, 0) * max(bottom - top, 0)
        crop = self.crop(index)
        mask = crop.mask if part is None else _window(crop, part)
        return float(np.count_nonzero(mask))

    def _common_area(self, a: int, b: int, part: Tile) -> float:
        """The pixels in a part of the image that two pieces have in common."""
        if self.pieces[a].mask is None:
            boxes = np.array([self.pieces[a].box, self.pieces[b].box])
            low = np.maximum(boxes[:, :2].max(axis=0), (part.left, part.top))
            high = np.minimum(boxes[:, 2:].min(axis=0), (part.right, part.bottom))
            return float(np.prod(np.maximum(high - low, 0)))
        one, other = self.crop(a), self.crop(b)
        common = part.common(_tile_of(one))
        common = common and common.common(_tile_of(other))
        if common is None:
            return 0.0
        return float(np.count_nonzero(_window(one, common) & _window(other, common)))

    def _union(self, group: Sequence[int]) -> Piece:
        """One object of several pieces."""
        best = max((self.pieces[index] for index in group), key=lambda p: p.score)
        if len(group) == 1:
            return best
        boxes = np.array([self.pieces[index].box for index in group])
        left, top = boxes[:, :2].min(axis=0).tolist()
        right, bottom = boxes[:, 2:].max(axis=0).tolist()
        mask = best.mask and _united([self.crop(i) for i in group], *self.size)
        return Piece(
            best.tile, best.label, best.score, (left, top, right, bottom), mask, True
        )


def _clipped(
    boxes: Sequence[tuple[float, float, float, float]], part: Tile
) -> NDArray[np.float64]:
    """Boxes (N, 4) as far as they lie in a part of the image."""
    found = np.array(boxes, float).reshape(-1, 4)
    found[:, :2] = np.maximum(found[:, :2], (part.left, part.top))
    found[:, 2:] = np.minimum(found[:, 2:], (part.right, part.bottom))
    return found


def _tile_of(crop: Crop) -> Tile:
    rows, columns = crop.mask.shape
    return Tile(crop.x, crop.y, crop.x + columns, crop.y + rows)


def _window(crop: Crop, part: Tile) -> NDArray[np.bool_]:
    """What a crop shows of a part of the image, as far as it reaches."""
    return crop.mask[
        max(part.top - crop.y, 0) : max(part.bottom - crop.y, 0),
        max(part.left - crop.x, 0) : max(part.right - crop.x, 0),
    ]


def _united(crops: Sequence[Crop], height: int, width: int) -> CocoRLE:
    """The union of masks, as RLE of the image's size."""
    areas = [_tile_of(crop) for crop in crops]
    left, top = min(a.left for a in areas), min(a.top for a in areas)
    right, bottom = max(a.right for a in areas), max(a.bottom for a in areas)
    union = np.zeros((bottom - top, right - left), bool)
    for crop, area in zip(crops, areas, strict=True):
        union[
            area.top - top : area.bottom - top, area.left - left : area.right - left
        ] |= crop.mask
    return encode_part(union, left, top, height, width)


def as_result(pieces: Sequence[Piece], like: Result, height: int, width: int) -> Result:
    """Merged objects as the result of an image; `like` is that of one of its tiles."""
    boxes = np.array([piece.box for piece in pieces], float).reshape(-1, 4)
    return replace(
        like,
        height=height,
        width=width,
        labels=np.array([piece.label for piece in pieces], dtype=np.int64),
        scores=np.array([piece.score for piece in pieces], dtype=np.float64),
        bboxes=np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]]),
        masks=None
        if like.masks is None
        else [piece.mask for piece in pieces if piece.mask is not None],
    )
