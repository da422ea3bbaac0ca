"""The masks of a training are MMDetection's, bit for bit, whatever its steps do to them."""

from __future__ import annotations

import copy
import json
import pickle
import random

import numpy as np
import pytest
from configurations import RTMDET, original
from hypothesis import example, given, settings
from hypothesis import strategies as st

pytest.importorskip("mmdet", reason="needs MMDetection")

import cv2
import torch
from mmcv.transforms import Compose
from mmdet.datasets.transforms import LoadAnnotations
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from mmengine.registry import init_default_scope

from cvtk.engine.training_masks import (
    LoadTrainingMasks,
    Piece,
    TrainingMasks,
    load_training_masks,
    nearest,
    whole_view,
)
from cvtk.io import encode_mask
from cvtk.recipe.nodes import set_where_present

HEIGHT, WIDTH = 20, 30


def both(seed=0, count=3):
    """The same masks twice, ours and MMDetection's; boxes of noise in an image of 20 x 30 pixels."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((count, HEIGHT, WIDTH), np.uint8)
    pieces = []
    for mask in masks:
        top, left = rng.integers(0, HEIGHT), rng.integers(0, WIDTH)
        h, w = rng.integers(1, HEIGHT - top + 1), rng.integers(1, WIDTH - left + 1)
        bitmap = rng.integers(0, 2, (h, w), dtype=np.uint8)
        mask[top : top + h, left : left + w] = bitmap
        pieces.append(Piece(bitmap, top, left))
    ours = TrainingMasks(pieces, [whole_view(HEIGHT, WIDTH)], HEIGHT, WIDTH)
    return ours, BitmapMasks(masks, HEIGHT, WIDTH)


def assert_same(ours, theirs):
    """Nothing that a network can ask for differs, in value or type. Nothing is drawn for good before the end."""
    assert (len(ours), ours.height, ours.width) == (
        len(theirs),
        theirs.height,
        theirs.width,
    )
    for dtype in (torch.bool, torch.uint8, torch.float32):
        seen = [masks.to_tensor(dtype, "cpu") for masks in (ours, theirs)]
        assert seen[0].dtype == dtype and torch.equal(*seen)
    boxes = [masks.get_bboxes(HorizontalBoxes).tensor for masks in (ours, theirs)]
    assert torch.equal(*boxes) and boxes[0].dtype == boxes[1].dtype
    assert np.array_equal(ours.areas, theirs.areas)
    assert ours.areas.dtype == theirs.areas.dtype
    sent = pickle.loads(pickle.dumps(ours))
    assert type(sent) is type(ours)
    for masks in (sent, copy.deepcopy(ours), ours):
        assert np.array_equal(masks.masks, theirs.masks)
        assert masks.masks.dtype == theirs.masks.dtype


@given(old=st.integers(1, 3000), new=st.integers(1, 3000))
@example(old=6, new=34)  # where old / new is not what OpenCV steps by
@settings(max_examples=150, deadline=None)
def test_the_rule_of_the_nearest_neighbour_is_opencvs(old, new):
    number = np.arange(old)
    digits = np.stack((number % 256, number // 256), axis=-1).astype(np.uint8)
    for size, image in ((new, 1), digits[None]), ((1, new), digits[:, None]):
        seen = cv2.resize(image, size, interpolation=cv2.INTER_NEAREST).reshape(-1, 2)
        assert np.array_equal(seen @ [1, 256], nearest(old, new))


STEPS = {
    "rescale": lambda m, a, b: m.rescale((a + 1, b + 1)),
    "rescale by": lambda m, a, b: m.rescale((a + 1) / 20),
    "resize": lambda m, a, b: m.resize((a + 1, b + 1)),
    "flip": lambda m, a, b: m.flip(("horizontal", "vertical", "diagonal")[a % 3]),
    "pad": lambda m, a, b: m.pad((m.height + a, m.width + b)),
    "expand": lambda m, a, b: m.expand(m.height + a, m.width + b, a // 2, b // 3),
    "crop": lambda m, a, b: m.crop(np.array([a % m.width, b % m.height, a + b, b + 9])),
    "translate": lambda m, a, b: m.translate((b + 5, a + 5), a - 20),
    "down": lambda m, a, b: m.translate((a + 5, b + 5), b - 20.0, "vertical"),
    "both": lambda m, a, b: m.translate((40, 40), (a - 20, b - 20), "both"),
    "choose": lambda m, a, b: m[np.arange(len(m)) % (a + 1) != b],
    "turn around": lambda m, a, b: m[np.arange(len(m))[::-1]],
    "cat": lambda m, a, b: m.cat([m.flip(), m]),
    "copy": lambda m, a, b: copy.deepcopy(m),
}
SIZES = st.integers(0, 40)


@given(
    steps=st.lists(st.tuples(st.sampled_from(sorted(STEPS)), SIZES, SIZES), max_size=6),
    seed=st.integers(0, 99),
    count=st.integers(0, 4),
)
@settings(max_examples=60, deadline=None)
def test_any_steps_one_after_the_other_give_the_same_masks(steps, seed, count):
    ours, theirs = both(seed, count)
    for name, a, b in steps:
        if theirs.height > 300 or theirs.width > 300:
            break
        try:
            expected = STEPS[name](theirs, a, b)
        except Exception as error:  # a mask of no pixels, and what OpenCV says to it
            with pytest.raises(type(error)):
                STEPS[name](ours, a, b)
            return
        theirs, ours = expected, STEPS[name](ours, a, b)
        if theirs.masks.size:
            assert isinstance(ours, TrainingMasks), name
    assert_same(ours, theirs)


@pytest.mark.parametrize(
    "step",
    [
        lambda m: m.rotate((20, 30), 30),
        lambda m: m.shear((20, 30), 0.3),
        lambda m: m.resize((9, 40), interpolation="bilinear"),
        lambda m: m.rescale(1.7, interpolation="area"),
        lambda m: m.pad((32, 32), pad_val=1),
        lambda m: m.translate((20, 30), 2.5),
        lambda m: m.translate((20, 30), 3, border_value=1),
    ],
)
def test_what_does_not_pick_rows_and_columns_is_left_to_mmdetection(step):
    ours, theirs = (step(masks.flip()) for masks in both())
    assert np.array_equal(ours.masks, theirs.masks)
    # After it, all goes on.
    assert np.array_equal(ours.flip().masks, theirs.flip().masks)


@pytest.mark.parametrize("binarize", [True, False])
@pytest.mark.parametrize("count", [0, 1, 40])
def test_boxes_are_cut_out_as_mmdetection_cuts_them(count, binarize):
    rng = np.random.default_rng(0)
    boxes = rng.uniform(0, [20, 12, 10, 8], (count, 4)).astype(np.float32)
    boxes[:, 2:] += boxes[:, :2]
    which = rng.integers(0, 3, count)
    found = [
        masks.crop_and_resize(boxes, (7, 9), which, "cpu", binarize=binarize).masks
        for masks in both()
    ]
    assert np.array_equal(*found) and found[0].dtype == found[1].dtype


def test_what_a_step_writes_into_the_masks_stays():
    seen = []
    for masks in both():
        masks.masks[:, 5:15, 5:15] = 1  # as RandomErasing does
        again = pickle.loads(pickle.dumps(copy.deepcopy(masks)))
        seen.append(again.flip()[[2, 0]].rescale(0.7))
    assert np.array_equal(seen[0].masks, seen[1].masks)
    assert torch.equal(*(m.to_tensor(torch.bool, "cpu") for m in seen))


def test_masks_that_are_mixed_with_mmdetections_own():
    ours, theirs = both()
    assert np.array_equal(
        ours.cat([theirs, ours]).masks, theirs.cat([theirs, theirs]).masks
    )


def outline(x, y, radius):
    """A star as a polygon, with fractions of a pixel."""
    angle = np.linspace(0, 2 * np.pi, 17)[:-1]
    length = radius * (1 + 0.4 * np.cos(5 * angle))
    points = (x + length * np.cos(angle), y + length * np.sin(angle))
    return np.round(np.stack(points, axis=1).ravel(), 1).tolist()


def stored():
    """Masks in all the ways in which annotations hold them, in an image of 37 x 53 pixels."""
    bitmap = np.zeros((37, 53), np.uint8)
    bitmap[5:30, 10:20] = 1
    bitmap[10:20, 13:15] = 0
    rle, columns = encode_mask(bitmap), np.zeros_like(bitmap)
    columns[:, 50:] = 1
    yield from ([outline(20.3, 15.7, 8)], [outline(9, 9, 4), outline(30.5, 20, 9.1)])
    yield from ([outline(1, 30, 12)], [outline(52.9, 0.2, 20)])  # over the border
    yield from (
        [outline(-50, 90, 5)],
        [outline(7.5, 7.5, 0.1)],
    )  # nothing of it is seen
    yield from ([[1.0, 2.0]], [[3.0, 3, 9, 3, 9, 9, 3]], {"size": [37, 53]})  # invalid
    yield from (rle, {**rle, "counts": [0, 5, 37, 100, 37 * 53 - 142]})
    yield from (encode_mask(columns), encode_mask(1 - bitmap), encode_mask(0 * bitmap))
    rng = np.random.default_rng(0)
    for _ in range(20):
        x, y, radius = rng.uniform([-5, -5, 1], [58, 42, 30])
        yield [outline(x, y, radius)]


def annotated(masks, size):
    """What reaches the step that loads the annotations of an image."""
    instances = [
        {"bbox": [0, 0, 9, 9], "bbox_label": 0, "ignore_flag": number % 2, "mask": mask}
        for number, mask in enumerate(masks)
    ]
    return {"instances": copy.deepcopy(instances), "ori_shape": size}


@pytest.mark.parametrize("poly2mask", [True, False])
def test_masks_are_loaded_as_mmdetection_loads_them(poly2mask):
    ours, theirs = (
        step(with_mask=True, poly2mask=poly2mask)(annotated(stored(), (37, 53)))
        for step in (LoadTrainingMasks, LoadAnnotations)
    )
    masks = ours["gt_masks"]
    assert np.array_equal(ours["gt_ignore_flags"], theirs["gt_ignore_flags"])
    assert np.array_equal(masks.to_ndarray(), theirs["gt_masks"].to_ndarray())
    assert isinstance(masks, TrainingMasks if poly2mask else PolygonMasks)


def test_an_image_without_objects_and_a_mask_that_does_not_fit():
    load = LoadTrainingMasks(with_mask=True)
    assert load(annotated([], (37, 53)))["gt_masks"].masks.shape == (0, 37, 53)
    other = encode_mask(np.ones((30, 40), np.uint8))
    for masks in ([other], [[outline(9, 9, 4)], other]):
        with pytest.raises((AssertionError, ValueError)):  # MMDetection's own
            load(annotated(masks, (37, 53)))


def test_what_was_drawn_is_kept_up_to_a_limit():
    load = LoadTrainingMasks(with_mask=True, keep=100)
    box = [[2.0, 2, 11, 2, 11, 11, 2, 11]]  # 81 pixels
    other = [[2.0, 2, 7, 2, 7, 7, 2, 7]]  # 25 pixels

    def area(mask, number):
        results = {**annotated([mask], (37, 53)), "img_path": "a", "img_id": number}
        masks = load(results)["gt_masks"]
        found = masks.areas.tolist()
        masks.masks[:] = 0  # as a later step may
        return found

    assert area(box, 1) == area(box, 1) == [81]
    assert area(other, 1) == [81], "an image's masks stay as they are"
    assert area(other, 2) == [25]
    assert area(box, 2) == [81], "there was no room for a second one"
    assert load(annotated([other], (37, 53)))["gt_masks"].areas.tolist() == [25]


@pytest.fixture(scope="module")
def images(demo):
    """What a data set gives of each image of the demo."""
    annotations = json.loads(demo.train.read_text())
    found = []
    for image in annotations["images"]:
        instances = []
        for each in annotations["annotations"]:
            if each["image_id"] == image["id"]:
                x, y, w, h = each["bbox"]
                fields = {"bbox": [x, y, x + w, y + h], "mask": each["segmentation"]}
                crowd = each.get("iscrowd", 0)
                instances.append({**fields, "bbox_label": 0, "ignore_flag": crowd})
        path = demo.train.parent / image["file_name"]
        found.append({"img_path": str(path), "img_id": 0, "instances": instances})
    return found


@pytest.mark.parametrize("name", [RTMDET, "mask-rcnn_r50_fpn_1x_coco"])
def test_a_whole_pipeline_gives_the_same_images_and_masks(name, images):
    init_default_scope("mmdet")
    pipeline = original(name)["train_dataloader"]["dataset"]["pipeline"]
    set_where_present(pipeline, poly2mask=True)
    for key in ("scale", "img_scale", "crop_size", "size"):
        set_where_present(pipeline, **{key: (96, 64)})
    seen = []
    for ours in (False, True):
        steps = copy.deepcopy(pipeline)
        if ours:
            load_training_masks(steps)
            assert steps[1]["type"] is LoadTrainingMasks
        random.seed(0)
        np.random.seed(0)
        step, found = Compose(steps), []
        for turn in range(10):
            packed = step(copy.deepcopy(images[turn % len(images)]))
            if packed:
                sample = packed["data_samples"]
                found += [packed["inputs"], sample.gt_instances.bboxes.tensor]
                for instances in (sample.gt_instances, sample.ignored_instances):
                    assert isinstance(instances.masks, TrainingMasks) is ours
                    found.append(instances.masks.to_tensor(torch.bool, "cpu"))
        seen.append(found)
    assert len(seen[0]) == len(seen[1]) > 4 * 5
    assert all(map(torch.equal, *seen))


def test_it_takes_the_place_of_mmdetections_step_wherever_that_is():
    mosaic = {"pipeline": [{"type": "LoadAnnotations", "with_mask": True}]}
    cfg = {"train": mosaic, "hook": [[{"type": "mmdet.LoadAnnotations"}]]}
    others = [{"type": "LoadPanopticAnnotations"}, {"type": "Resize", "scale": (4, 4)}]
    load_training_masks([cfg, others])
    (step,) = mosaic["pipeline"]
    assert step["type"] is LoadTrainingMasks and step["with_mask"]
    assert cfg["hook"][0][0]["type"] is LoadTrainingMasks
    assert others[0] == {"type": "LoadPanopticAnnotations"}
