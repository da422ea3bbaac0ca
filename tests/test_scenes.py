"""The drawn scenes that `--weights scenes` learned from, and the package that brings the weights."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as api

from draw import CLASSES, scene
from make import annotation

SIZE = (160, 128)  # width, height


@pytest.fixture(scope="module")
def drawn():
    """Some scenes."""
    return [scene(np.random.default_rng(seed), SIZE) for seed in range(20)]


def test_a_scene_is_the_same_each_time_it_is_drawn(drawn):
    image, objects = scene(np.random.default_rng(3), SIZE)
    assert image.tobytes() == drawn[3][0].tobytes()
    assert len(objects) == len(drawn[3][1])


def test_masks_are_what_is_seen_so_they_never_overlap(drawn):
    for image, objects in drawn:
        assert image.size == SIZE
        shown = np.zeros((SIZE[1], SIZE[0]), int)
        for _, mask in objects:
            shown += mask
        assert shown.max(initial=0) <= 1


def test_all_kinds_of_objects_occur():
    assert len(set(CLASSES)) == 24
    found = {
        kind
        for seed in range(60)
        for kind, _ in scene(np.random.default_rng([9, seed]), SIZE)[1]
    }
    assert found == set(range(24))


def test_an_object_differs_from_what_is_around_it(drawn):
    # Else nothing could be learned; one or the other may be as its ground by chance.
    contrasts = []
    for image, objects in drawn:
        pixels = np.asarray(image, float)
        for _, mask in objects:
            inside = pixels[mask].mean(0)
            contrasts.append(np.abs(inside - pixels[~mask].mean(0)).max())
    assert np.median(contrasts) > 30  # of 255


def test_annotations_are_coco():
    mask = np.zeros((6, 8), bool)
    mask[2:4, 1:6] = True
    made = annotation(mask, 5, crowd=False, packed=True)
    assert made["category_id"] == 5
    assert made["area"] == 10
    assert made["bbox"] == [1, 2, 5, 2]
    assert np.array_equal(api.decode(made["segmentation"]), mask)


# The package


def test_the_file_is_small_and_in_half_precision():
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    package = pytest.importorskip("drawn_scenes", reason="scenes is not installed")
    for file in package.WEIGHTS.values():
        assert file.stat().st_size < 25e6
        state = torch.load(file, weights_only=True)["state_dict"]
        large = [value for value in state.values() if value.ndim > 1]
        assert {value.dtype for value in large} == {torch.float16}
        assert all(value.isfinite().all() for value in state.values())


def test_its_weights_fit_but_for_the_classes(tmp_path):
    pytest.importorskip("mmdet", reason="needs MMDetection")
    package = pytest.importorskip("drawn_scenes", reason="scenes is not installed")
    import torch
    from configurations import original
    from mmdet.registry import MODELS
    from mmengine.registry import init_default_scope

    (name,) = package.WEIGHTS
    init_default_scope("mmdet")
    own = MODELS.build(original(name)["model"]).state_dict()
    state = torch.load(package.WEIGHTS[name], weights_only=True)["state_dict"]
    assert all(state[key].shape == own[key].shape for key in state)
    assert {key for key in own if key not in state} == {
        f"bbox_head.rtm_cls.{level}.{part}"
        for level, part in itertools.product(range(3), ("weight", "bias"))
    }


def test_scenes_are_for_one_architecture():
    pytest.importorskip("drawn_scenes", reason="scenes is not installed")
    from cvtk.engine.start import find_weights
    from cvtk.errors import ModelError

    with pytest.raises(ModelError, match=r"solo\.?.*only for rtmdet-ins_tiny"):
        find_weights(Path("solo.py"), "scenes")


def test_a_missing_package_is_told_with_what_to_do(monkeypatch):
    from cvtk.engine.start import find_weights
    from cvtk.errors import ModelError

    monkeypatch.setitem(sys.modules, "drawn_scenes", None)
    with pytest.raises(ModelError, match=r"pip install \./scenes"):
        find_weights(Path("rtmdet.py"), "scenes")
