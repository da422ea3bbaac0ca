"""What a model is made of: an architecture and classes, or trained weights and their configuration."""

from __future__ import annotations

import pytest

pytest.importorskip("mmdet", reason="needs MMDetection")

from cvtk.engine.spec import make_spec, open_weights
from cvtk.errors import DataError, FileError, ModelError

RTMDET = "rtmdet-ins_tiny_8xb32-300e_coco"


@pytest.fixture
def weights(built, tmp_path):
    """A configuration as a training leaves it; of the weights beside it, nothing is read here."""
    built(test=None).dump(tmp_path / "a.py")
    (tmp_path / "a.pth").touch()
    return tmp_path / "a.pth"


def test_an_architecture_with_classes(demo):
    spec = make_spec("rtmdet-ins_tiny", demo.label, None, False)
    assert spec.config.stem == RTMDET
    assert (spec.task, spec.weights) == ("segm", None)
    assert spec.classes == demo.label.read_text().split()
    assert spec.category_ids == [1, 2, 3]


def test_where_nothing_is_named_it_is_the_tutorials(demo):
    assert make_spec("", demo.label, None, False).name == "mask-rcnn_r101_fpn_1x_coco"
    assert make_spec("", demo.label, "det", False).name.startswith("faster-rcnn")


def test_classes_by_their_names():
    assert make_spec(RTMDET, ["leaf", "stem"], None, False).classes == ["leaf", "stem"]
    for names in ([], ["leaf", "leaf"]):
        with pytest.raises(DataError, match="labels"):
            make_spec(RTMDET, names, None, False)


def test_an_architecture_needs_classes_and_its_task():
    with pytest.raises(ModelError, match="label file"):
        make_spec(RTMDET, None, None, False)
    with pytest.raises(ModelError, match="det"):
        make_spec("rtmdet_tiny_8xb32-300e_coco", ["a"], "segm", False)


def test_weights_know_their_classes_ids_and_task(weights, demo):
    spec = open_weights(weights)
    assert (spec.weights, spec.config) == (weights, weights.with_suffix(".py"))
    assert spec.classes == demo.label.read_text().split()
    assert (spec.category_ids, spec.task) == ([1, 2, 3], "segm")
    assert make_spec(weights, demo.label, None, False) == spec


def test_other_labels_than_those_of_the_weights_are_refused(weights):
    with pytest.raises(ModelError, match=r"was trained for .*not \['a', 'b'\]"):
        make_spec(weights, ["a", "b"], None, False)


def test_what_is_missing_is_named(weights, tmp_path):
    with pytest.raises(FileError, match=r"none\.pth"):
        open_weights(tmp_path / "none.pth")
    weights.with_suffix(".py").unlink()
    with pytest.raises(FileError, match=r"a\.py is missing"):
        open_weights(weights)


def test_a_configuration_of_something_else_is_refused(weights):
    weights.with_suffix(".py").write_text("model = dict(type='A')\n")
    with pytest.raises(
        ModelError, match=r"a\.py is not the configuration of a training"
    ):
        open_weights(weights)
