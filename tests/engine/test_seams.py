"""Objects on seams, against pictures that are cut by hand: as many come out as there are, with their masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cvtk.data.tiles import Tile, tiles_of
from cvtk.engine.seams import Piece, as_result, merge, pieces_of
from cvtk.io import decode_mask, encode_mask
from cvtk.results import Result

HEIGHT, WIDTH = 60, 100
TILES = [Tile(0, 0, 60, 60), Tile(40, 0, 100, 60)]  # they share columns 40 to 59


def rectangle(left, top, right, bottom, size=(HEIGHT, WIDTH)):
    mask = np.zeros(size, bool)
    mask[top:bottom, left:right] = True
    return mask


def seen(tile, masks, labels=None, scores=None, boxes_only=False):
    """What a perfect model finds in a tile of an image with these masks."""
    shown = [(k, m[tile.top : tile.bottom, tile.left : tile.right]) for k, m in masks]
    shown = [(k, mask) for k, mask in shown if mask.any()]
    boxes = []
    for _, mask in shown:
        rows, columns = (
            np.flatnonzero(mask.any(axis=1)),
            np.flatnonzero(mask.any(axis=0)),
        )
        left, top = columns[0], rows[0]
        boxes.append([left, top, columns[-1] + 1 - left, rows[-1] + 1 - top])
    width, height = tile.size
    return Result(
        Path("a.png"),
        height,
        width,
        ("leaf", "stem"),
        (1, 2),
        [(labels or {}).get(k, 0) for k, _ in shown],
        [(scores or {}).get(k, 0.5) for k, _ in shown],
        boxes,
        None if boxes_only else [encode_mask(mask) for _, mask in shown],
    )


def joined(results, tiles=TILES, size=(HEIGHT, WIDTH)):
    """What is made of the results of tiles."""
    pieces = [
        piece
        for tile, result in zip(tiles, results, strict=True)
        for piece in pieces_of(result, tile, *size)
    ]
    merged = merge(pieces, tiles, *size)
    return as_result(merged, results[0], *size)


def both(*masks, **more):
    """Two tiles, both of which see all there is."""
    numbered = list(enumerate(masks))
    return joined([seen(tile, numbered, **more) for tile in TILES])


def assert_masks(result, *expected):
    found = sorted(decode_mask(mask).tobytes() for mask in result.masks)
    assert found == sorted(mask.astype(np.uint8).tobytes() for mask in expected)


def test_an_object_on_a_seam_becomes_one():
    whole = rectangle(10, 20, 90, 40)  # longer than what the tiles share
    result = both(whole)
    assert_masks(result, whole)
    assert result.bboxes.tolist() == [[10, 20, 80, 20]]


def test_its_score_is_the_highest_of_its_pieces_and_its_class_stays():
    whole = rectangle(10, 20, 90, 40)
    left = seen(TILES[0], [(0, whole)], labels={0: 1}, scores={0: 0.4})
    right = seen(TILES[1], [(0, whole)], labels={0: 1}, scores={0: 0.9})
    result = joined([left, right])
    assert (result.names, result.scores.tolist()) == (["stem"], [0.9])


def test_of_what_both_tiles_see_the_better_view_is_kept():
    left = seen(TILES[0], [(0, rectangle(45, 10, 55, 20))], scores={0: 0.4})
    right = seen(TILES[1], [(0, rectangle(45, 10, 56, 20))], scores={0: 0.8})
    result = joined([left, right])
    assert_masks(result, rectangle(45, 10, 56, 20))
    assert result.scores.tolist() == [0.8]


def test_the_whole_is_kept_and_not_the_surer_piece_of_it():
    whole = rectangle(50, 10, 80, 20)  # the left tile sees a third of it
    left = seen(TILES[0], [(0, whole)], scores={0: 0.95})
    right = seen(TILES[1], [(0, whole)], scores={0: 0.6})
    result = joined([left, right])
    assert_masks(result, whole)
    assert result.scores.tolist() == [0.6]


def test_a_sliver_that_is_not_like_the_whole_vanishes():
    left = seen(TILES[0], [(0, rectangle(56, 0, 60, 40))])  # drawn far too high
    right = seen(TILES[1], [(0, rectangle(56, 30, 90, 40))])
    assert_masks(joined([left, right]), rectangle(56, 30, 90, 40))


def test_a_sliver_of_another_class_vanishes():
    whole = rectangle(56, 30, 90, 40)
    left = seen(TILES[0], [(0, whole)], labels={0: 1})
    right = seen(TILES[1], [(0, whole)], labels={0: 0})
    result = joined([left, right])
    assert result.names == ["leaf"]


def test_neighbours_that_touch_stay_two():
    upper, lower = rectangle(10, 10, 90, 30), rectangle(10, 30, 90, 50)
    assert_masks(both(upper, lower), upper, lower)


def test_classes_are_not_mixed():
    one, two = rectangle(10, 10, 90, 30), rectangle(12, 11, 88, 29)
    result = both(one, two, labels={0: 0, 1: 1})
    assert_masks(result, one, two)
    assert sorted(result.names) == ["leaf", "stem"]


def test_a_piece_that_only_one_tile_sees_is_kept():
    whole = rectangle(10, 20, 90, 40)
    left, nothing = seen(TILES[0], [(0, whole)]), seen(TILES[1], [])
    assert_masks(joined([left, nothing]), rectangle(10, 20, 60, 40))


def test_at_the_border_of_the_image_nothing_is_cut():
    corner = rectangle(0, 0, 8, 60)
    pieces = list(pieces_of(seen(TILES[0], [(0, corner)]), TILES[0], HEIGHT, WIDTH))
    assert [piece.cut for piece in pieces] == [False]


def test_a_half_that_says_it_is_the_whole_is_not_believed():
    # The left tile's mask ends far from its edge, the right one goes on to 90.
    left = seen(TILES[0], [(0, rectangle(10, 20, 55, 40))])
    right = seen(TILES[1], [(0, rectangle(10, 20, 90, 40))])
    assert_masks(joined([left, right]), rectangle(10, 20, 90, 40))


def test_a_weak_view_does_not_say_that_a_sure_one_goes_on():
    # The right tile sees something faint that covers the object and its neighbour.
    sure, faint = rectangle(45, 10, 55, 20), rectangle(45, 10, 75, 20)
    left = seen(TILES[0], [(0, sure)], scores={0: 0.9})
    right = seen(TILES[1], [(0, faint)], scores={0: 0.1})
    assert_masks(joined([left, right]), sure)
    equal = seen(TILES[1], [(0, faint)], scores={0: 0.8})
    assert_masks(joined([left, equal]), faint)


def test_boxes_without_masks_are_joined_by_the_same_rules():
    long, small = rectangle(10, 20, 90, 40), rectangle(45, 45, 55, 55)
    result = both(long, small, boxes_only=True)
    assert result.masks is None
    assert sorted(result.bboxes.tolist()) == [[10, 20, 80, 20], [45, 45, 10, 10]]


def test_a_mask_without_a_pixel_is_left_out():
    empty = seen(TILES[0], [(0, rectangle(5, 5, 9, 9))])
    empty.masks[0].update(encode_mask(np.zeros((60, 60), bool)))
    assert list(pieces_of(empty, TILES[0], HEIGHT, WIDTH)) == []


def test_nothing_found_is_a_result_too():
    result = both()
    assert (len(result), result.masks, result.height, result.width) == (0, [], 60, 100)


def discs(count, size, seed):
    """Discs of 4 to 40 pixels that do not touch, all over an image."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    taken, masks = np.zeros(size, bool), []
    for _ in range(count):
        radius = random.uniform(4, 40)
        cy, cx = random.uniform(0, size[0]), random.uniform(0, size[1])
        distance = (y - cy) ** 2 + (x - cx) ** 2
        if (taken & (distance < (radius + 3) ** 2)).any():
            continue
        mask = distance < radius**2
        taken |= mask
        masks.append(mask)
    return masks


@pytest.mark.parametrize("overlap", [0.1, 0.25, 0.5])
@pytest.mark.parametrize("seed", range(4))
def test_what_a_perfect_model_finds_in_tiles_is_what_there_is(seed, overlap):
    size = (300, 400)
    masks = discs(120, size, seed)
    tiles = tiles_of(size[1], size[0], 96, overlap)
    crossing = sum(
        any(0 < m[t.top : t.bottom, t.left : t.right].sum() < m.sum() for t in tiles)
        for m in masks
    )
    results = [seen(tile, list(enumerate(masks))) for tile in tiles]
    result = joined(results, tiles, size)
    assert crossing > 3 and len(masks) > 15, "or this test shows nothing"
    assert_masks(result, *masks)


def test_pieces_know_where_they_are():
    whole = rectangle(50, 10, 80, 20)
    [piece] = pieces_of(seen(TILES[1], [(0, whole)]), TILES[1], HEIGHT, WIDTH)
    assert isinstance(piece, Piece) and piece.box == (50, 10, 80, 20)
    np.testing.assert_array_equal(decode_mask(piece.mask), whole)
