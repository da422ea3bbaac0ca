"""The scores to cut at, in weights: kept as plain data, used by whoever opens them, and never trusted."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs PyTorch")

import torch

from cvtk.analysis.thresholds import Thresholds
from cvtk.data import read
from cvtk.engine.spec import ModelSpec
from cvtk.engine.thresholds import KEY, keep, stored_thresholds, thresholds_on
from cvtk.io import sha256_of


@pytest.fixture
def spec(tmp_path):
    """Weights of a model for two classes."""
    weights = tmp_path / "a.pth"
    torch.save({"meta": {"epoch": 3}, "state_dict": {"w": torch.ones(2)}}, weights)
    return ModelSpec(
        "a", tmp_path / "a.py", "segm", ["leaf", "stem"], [1, 2], weights=weights
    )


CHOSEN = Thresholds({"leaf": 0.25, "stem": 0.5}, 0.375, ["chosen"], "valid.json", "abc")


def test_they_are_kept_beside_what_was_there(spec):
    keep(CHOSEN, spec)
    content = torch.load(spec.weights, weights_only=True)
    assert content["meta"]["epoch"] == 3
    assert content["meta"][KEY]["by_class"] == {"leaf": 0.25, "stem": 0.5}
    assert torch.equal(content["state_dict"]["w"], torch.ones(2))
    assert stored_thresholds(content, spec) == CHOSEN


@pytest.mark.parametrize("meta", [None, 7, {}, {"epoch": 3}])
def test_weights_without_them(meta, spec):
    assert stored_thresholds({"meta": meta}, spec) is None


@pytest.mark.parametrize("stored", [3, {}, {**CHOSEN.to_plain(), "by_class": {}}])
def test_damaged_ones_are_left_aside(stored, spec, caplog):
    assert stored_thresholds({"meta": {KEY: stored}}, spec) is None
    assert "cannot be used" in caplog.text and "--score" in caplog.text


def test_an_evaluation_of_the_set_that_they_were_chosen_on_says_so(demo):
    valid, test = read(demo.valid), read(demo.test)
    chosen = Thresholds({}, 0.5, ["chosen"], sha256=sha256_of(demo.valid))
    assert "on this very set" in thresholds_on(chosen, valid).notes[-1]
    assert thresholds_on(chosen, test).notes == ["chosen"]
    assert thresholds_on(None, test) is None
