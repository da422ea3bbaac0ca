"""Drawing: colours, letters, and where the paint goes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.distance import pdist
from skimage.color import rgb2lab

from cvtk.data.crops import Crop
from cvtk.visual.overlays import _edge, class_colour, draw_objects


def test_each_of_forty_classes_has_its_own_colour():
    assert len({class_colour(i) for i in range(40)}) == 40
    assert class_colour(4) == (0, 114, 178), "Okabe and Ito's blue"


# What dichromats see, by the cones that they lack, in linear RGB: Machado, Oliveira and Fernandes (2009), severity 1.
VISION = {
    "all": np.eye(3),
    "no red": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "no green": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "no blue": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


@pytest.mark.parametrize("cones", VISION)
def test_colour_blind_people_can_tell_16_classes_apart(cones):
    """A difference in CIE Lab of 2.3 is one that can just be seen side by side."""
    colours = np.array([class_colour(i) for i in range(16)]) / 255
    linear = np.where(
        colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4
    )
    seen = np.clip(linear @ np.transpose(VISION[cones]), 0, 1)
    seen = np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)
    assert pdist(rgb2lab(seen[None])[0]).min() > 15


def test_a_mask_is_painted_inside_and_nowhere_else():
    mask = np.zeros((40, 60), np.uint8)
    mask[10:30, 20:50] = 1
    image = np.full((40, 60, 3), 100, np.uint8)
    box = np.array([[20, 10, 30, 20]])
    drawn = np.asarray(
        draw_objects(image, bboxes=box, labels=np.array([0]), texts=[""], masks=[mask])
    )
    changed = (drawn != 100).any(axis=2)
    np.testing.assert_array_equal(changed, mask == 1)
    inside = 0.58 * 100 + 0.42 * np.array(class_colour(0))
    np.testing.assert_allclose(drawn[20, 35], inside, atol=1)
    assert (image == 100).all(), "the original stays"


def test_the_outline_leaves_out_what_the_border_cuts():
    mask = np.zeros((5, 5), bool)
    mask[:, :3] = True
    np.testing.assert_array_equal(
        np.argwhere(_edge(mask, 1)), [[y, 2] for y in range(5)]
    )


@pytest.mark.parametrize(
    "box",
    [
        [0, 0, 30, 20],
        [100, 70, 20, 10],
        [-5, -5, 200, 200],
        [119, 79, 1, 1],
        [50, 40, 0, 0],
    ],
)
def test_a_label_stays_inside_the_image(box):
    blank = Image.new("RGB", (120, 80))
    with_text = draw_objects(
        blank, bboxes=np.array([box]), labels=np.array([3]), texts=["ab 0.50"]
    )
    without = draw_objects(
        blank, bboxes=np.array([box]), labels=np.array([3]), texts=[""]
    )
    differs = (np.asarray(with_text) != np.asarray(without)).any(axis=2)
    assert differs.sum() > 100, "a plate of some size, even where the box is cut"


def test_labels_make_room_for_each_other():
    blank = Image.new("RGB", (200, 200))
    boxes = np.array([[50, 50, 100, 100], [50, 50, 100, 100]])
    one = draw_objects(blank, bboxes=boxes[:1], labels=np.array([0]), texts=["aaa"])
    two = draw_objects(
        blank, bboxes=boxes, labels=np.array([0, 0]), texts=["aaa", "bbb"]
    )
    plates = [
        (np.asarray(image) == class_colour(0)).all(axis=2).sum() for image in (one, two)
    ]
    assert plates[1] > plates[0] + 50


def scattered(count, side=8, size=(400, 300)):
    """Boxes of `side` pixels all over an image, with labels of 0 to 2."""
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, (size[0] - side, size[1] - side), (count, 2))
    boxes = np.hstack([corners, np.full((count, 2), side)])
    return Image.new("RGB", size), boxes, np.arange(count) % 3


@pytest.mark.parametrize("size", [(200, 150), (900, 675)])
@pytest.mark.parametrize("count", [6, 30, 100, 300])
def test_labels_shorten_and_vanish_before_they_cover_too_much(count, size):
    blank, boxes, labels = scattered(count, side=size[0] // 45, size=size)
    scores = [f"{k / count:.2f}" for k in range(count)]
    texts = [f"strawberry {score}" for score in scores]
    things = {"bboxes": boxes, "labels": labels, "short_texts": scores}
    plain = draw_objects(blank, **things, texts=[""] * count)
    named = draw_objects(blank, **things, texts=texts)
    covered = (np.asarray(plain) != np.asarray(named)).any(axis=2).mean()
    room = size[0] * size[1] * 0.1 / count
    # Letters have 10 pixels at least: a plate with a score takes some 300 square pixels, one with the name 1,200.
    if room > 1400:
        assert covered > 0.005
    if room < 250:
        assert covered == 0
    assert covered < 0.11


def test_where_there_are_no_labels_masks_have_no_boxes():
    blank, boxes, labels = scattered(300)
    mask = Crop(np.zeros((0, 0), bool), 0, 0)
    things = {"bboxes": boxes, "labels": labels, "texts": ["berry 0.50"] * 300}
    drawn = draw_objects(blank, **things, masks=[mask] * 300)
    assert drawn.tobytes() == blank.tobytes()
    assert draw_objects(blank, **things).tobytes() != blank.tobytes()


def test_a_key_names_the_colours_where_labels_found_no_room():
    blank, boxes, labels = scattered(300)
    names = ["berry", "leaf", "stem", "never seen"]
    texts = [f"{names[label]} 0.50" for label in labels]
    things = {"bboxes": boxes, "labels": labels, "texts": texts}
    with_key = np.asarray(draw_objects(blank, **things, class_names=names))
    without = np.asarray(draw_objects(blank, **things))
    rows, columns = np.nonzero((with_key != without).any(axis=2))
    assert rows.max() == 299 and columns.min() == 0, "in the lower left corner"
    key = with_key[rows.min() :, : columns.max() + 1].reshape(-1, 3)
    shown = [k for k in range(4) if (key == class_colour(k)).all(axis=1).sum() > 50]
    assert shown == [0, 1, 2]


def test_few_objects_need_no_key():
    blank, boxes, labels = scattered(2, side=40)
    things = {"bboxes": boxes, "labels": labels, "texts": ["a", "b"]}
    drawn = draw_objects(blank, **things, class_names=["a", "b"])
    assert drawn.tobytes() == draw_objects(blank, **things).tobytes()


def drawn_in(style, masks=True):
    """An object of 30 x 20 pixels in a grey image, without its label."""
    mask = np.zeros((40, 60), np.uint8)
    mask[10:30, 20:50] = 1
    mask[10, 20] = 0  # so that mask and box differ
    return mask, np.asarray(
        draw_objects(
            np.full((40, 60, 3), 100, np.uint8),
            bboxes=np.array([[20, 10, 30, 20]]),
            labels=np.array([0]),
            texts=[""],
            masks=[mask] if masks else None,
            style=style,
        )
    )


def test_outlines_leave_the_object_as_it_is():
    mask, drawn = drawn_in("outlines")
    changed = (drawn != 100).any(axis=2)
    np.testing.assert_array_equal(changed, _edge(mask.astype(bool), 2))


@pytest.mark.parametrize("style", ["masks", "outlines"])
@pytest.mark.parametrize("label", range(7))
def test_an_object_of_the_colour_of_its_class_can_be_seen_and_told_from_its_neighbour(
    label, style
):
    colour = class_colour(label)
    image = np.full((40, 60, 3), colour, np.uint8)
    halves = [Crop(np.ones((20, 20), bool), 10 + 20 * k, 10) for k in (0, 1)]
    things = {"labels": np.full(2, label), "texts": ["", ""], "masks": halves}
    boxes = np.array([[10, 10, 20, 20], [30, 10, 20, 20]])
    drawn = np.asarray(draw_objects(image, bboxes=boxes, **things, style=style))
    across = np.abs(drawn[20].astype(int) - colour).max(axis=1) > 60
    # The second line of each, at the left and at the right, and nothing else.
    assert np.flatnonzero(across).tolist() == [11, 28, 31, 48]


def test_boxes_leave_the_masks_out():
    _, drawn = drawn_in("boxes")
    changed = (drawn != 100).any(axis=2)
    assert changed[10, 20] and changed.sum() == 2 * (30 + 18), "the frame alone"


@pytest.mark.parametrize("style", ["masks", "outlines", "boxes"])
def test_without_masks_there_are_boxes_in_every_style(style):
    _, drawn = drawn_in(style, masks=False)
    assert (drawn != 100).any(axis=2).sum() == 2 * (30 + 18)


def test_a_part_of_a_mask_is_painted_where_it_belongs():
    mask, whole = drawn_in("masks")
    part = Crop(mask[10:30, 20:50].astype(bool), 20, 10)
    image = np.full((40, 60, 3), 100, np.uint8)
    things = {"bboxes": np.array([[20, 10, 30, 20]]), "labels": np.array([0])}
    drawn = draw_objects(image, **things, texts=[""], masks=[part])
    np.testing.assert_array_equal(np.asarray(drawn), whole)
