"""The settings at the head of the helper script."""

from __future__ import annotations

import pytest
from configurations import adamw, options, sgd

from cvtk.errors import OptionError
from cvtk.recipe.hooks import set_hooks
from cvtk.recipe.settings import apply_settings


def small(**parts):
    """A fitted configuration, with what the settings are about."""
    model = {"backbone": {"depth": 50}}
    cfg = {**sgd(), "default_hooks": {}, "model": model, **parts}
    set_hooks(cfg, "segm", 15, None)
    return cfg


def apply(cfg, **changes):
    apply_settings(cfg, options(**changes))
    return cfg


def test_settings_that_nobody_gives_change_nothing():
    assert apply(small()) == small()


def test_settings():
    cfg = apply(
        small(),
        frozen_stages=2,
        warmup=7,
        decay_epochs=[5, 8],
        decay_factor=0.3,
        save_every=4,
        validate_every=5,
        log_every=9,
        metric="voc",
    )
    assert cfg["model"]["backbone"] == {"depth": 50, "frozen_stages": 2}
    rises, falls = cfg["param_scheduler"]
    assert (rises["type"], rises["begin"], rises["end"]) == ("LinearLR", 0, 7)
    assert (falls["type"], falls["by_epoch"]) == ("MultiStepLR", True)
    assert (falls["milestones"], falls["gamma"]) == ([5, 8], 0.3)
    checkpoint = cfg["default_hooks"]["checkpoint"]
    assert checkpoint["interval"] == 4
    assert checkpoint["save_best"] == "coco/segm_mAP_50"
    assert cfg["default_hooks"]["logger"]["interval"] == 9
    assert cfg["train_cfg"]["val_interval"] == 5


@pytest.mark.parametrize(("epochs", "validations"), [(1, 1), (6, 2), (7, 3)])
def test_patience_counts_epochs_also_where_few_are_validated(epochs, validations):
    cfg = small()
    set_hooks(cfg, "segm", 15, early_stop=epochs)
    assert cfg["custom_hooks"][-1]["patience"] == epochs
    apply(cfg, validate_every=3)
    assert cfg["custom_hooks"][-1]["patience"] == validations


def test_a_cosine_gives_way_to_epochs_that_are_asked_for():
    cfg = apply(small(**adamw()), decay_epochs=[5])
    warmup, decay = cfg["param_scheduler"]
    assert (warmup["type"], decay["type"]) == ("LinearLR", "MultiStepLR")
    assert decay["gamma"] == 0.1


def test_a_factor_alone_keeps_the_epochs():
    warmup, decay = apply(small(), decay_factor=0.5)["param_scheduler"]
    assert (decay["milestones"], decay["gamma"]) == ([8, 11], 0.5)
    assert "gamma" not in warmup
    cosine = apply(small(**adamw()), decay_factor=0.5)["param_scheduler"][1]
    assert cosine == adamw()["param_scheduler"][1], "it has no such factor"


def test_no_warm_up():
    (decay,) = apply(small(), warmup=0)["param_scheduler"]
    assert decay["type"] == "MultiStepLR"


def test_a_warm_up_where_the_architecture_has_none():
    cfg = small(param_scheduler=[sgd()["param_scheduler"][1]])
    warmup, decay = apply(cfg, warmup=30)["param_scheduler"]
    assert decay["type"] == "MultiStepLR"
    assert warmup == {
        "type": "LinearLR",
        "start_factor": 0.001,
        "by_epoch": False,
        "begin": 0,
        "end": 30,
    }


def test_another_metric_also_ends_the_training():
    cfg = small()
    set_hooks(cfg, "det", 15, early_stop=4)
    apply(cfg, metric="voc")
    assert cfg["default_hooks"]["checkpoint"]["save_best"] == "coco/bbox_mAP_50"
    assert cfg["custom_hooks"][0]["monitor"] == "coco/bbox_mAP_50"


def test_an_unknown_metric_is_refused():
    with pytest.raises(OptionError, match=r"metric cannot be 'f1'.*'coco' or 'voc'"):
        options(metric="f1")
