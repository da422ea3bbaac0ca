"""The number of classes, in every head of every family."""

from __future__ import annotations

import pytest
from configurations import FAMILIES, original

from cvtk.recipe.classes import set_classes
from cvtk.recipe.nodes import each_dict


@pytest.mark.parametrize("name", FAMILIES)
def test_no_architecture_keeps_cocos_80_classes(name):
    model = original(name)["model"]

    def of_coco(part):
        return {
            key: value
            for key, value in part.items()
            if "class" in key and value in (80, 81, 133, [80, 53])
        }

    assert any(of_coco(part) for part in each_dict(model)), "or this test shows nothing"
    set_classes(model, 3)
    assert not any(of_coco(part) for part in each_dict(model))
    assert any(3 in part.values() for part in each_dict(model))


def test_mask2former_has_instances_alone():
    model = original("mask2former_r50_8xb2-lsj-50e_coco")["model"]
    set_classes(model, 3)
    head = model["panoptic_head"]
    assert (head["num_things_classes"], head["num_stuff_classes"]) == (3, 0)
    assert head["loss_cls"]["class_weight"] == [1.0, 1.0, 1.0, 0.1], "0.1 for nothing"


def test_weights_of_classes_are_one_and_that_of_nothing_stays():
    listed = {"num_classes": 80, "class_weight": [1.0] * 80 + [0.1]}
    scalar = {"num_classes": 80, "class_weight": 2.0}
    set_classes({"heads": [listed, scalar]}, 2)
    assert listed == {"num_classes": 2, "class_weight": [1.0, 1.0, 0.1]}
    assert scalar == {"num_classes": 2, "class_weight": 2.0}
