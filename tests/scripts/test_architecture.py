"""The settings at the head of a helper script are those that its architecture has."""

from __future__ import annotations

import re

import pytest

from cvtk.options import settings
from cvtk.scripts.architecture import fitting_settings
from cvtk.scripts.create import create_script

ALL = {declared.name for declared in settings()}
ALWAYS = {"balance", "save_every", "validate_every", "log_every", "metric"}


def found(config):
    return {declared.name for declared in fitting_settings(config)}


def test_where_the_architecture_is_not_known_all_are_offered():
    assert found(None) == ALL > ALWAYS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model = dict(type='A')", set()),
        ("model = dict(backbone=dict(frozen_stages=1))", {"frozen_stages"}),
        ("param_scheduler = [dict(type='LinearLR', end=500)]", {"warmup"}),
        (
            "param_scheduler = [dict(type='MultiStepLR', milestones=[8])]",
            {"decay_epochs", "decay_factor"},
        ),
        ("param_scheduler = [", set()),
    ],
)
def test_what_a_configuration_says(text, expected, tmp_path):
    (tmp_path / "a.py").write_text(text)
    assert found(tmp_path / "a.py") == ALWAYS | expected


def test_the_nearest_schedule_of_those_it_is_based_on_counts(tmp_path):
    steps = "param_scheduler = [dict(type='MultiStepLR', milestones=[8, 11])]"
    (tmp_path / "base").mkdir()
    (tmp_path / "base/schedule.py").write_text(steps)
    (tmp_path / "a.py").write_text("_base_ = ['base/schedule.py', 'none.py']\n")
    assert "decay_epochs" in found(tmp_path / "a.py")
    cosine = "param_scheduler = [dict(type='CosineAnnealingLR')]"
    (tmp_path / "b.py").write_text(f"_base_ = './a.py'\n{cosine}\n")
    assert "decay_epochs" not in found(tmp_path / "b.py")


def test_a_circle_of_configurations_ends(tmp_path):
    (tmp_path / "a.py").write_text("_base_ = 'b.py'\n")
    (tmp_path / "b.py").write_text("_base_ = 'a.py'\n")
    assert found(tmp_path / "a.py") == ALWAYS


@pytest.mark.parametrize(
    ("model", "missing"),
    [
        ("mask-rcnn_r50_fpn_1x_coco", set()),
        # its learning rate falls along a cosine, and no stage is frozen
        ("rtmdet-ins_tiny_8xb32-300e_coco", {"decay_epochs", "decay_factor"}),
    ],
)
def test_the_head_of_a_real_script(model, missing, tmp_path):
    pytest.importorskip("mmdet", reason="needs MMDetection")
    script = create_script(tmp_path / "segm.py", "segm", model)
    text = script.read_text()
    head = {name.lower() for name in re.findall(r"^([A-Z_]+) = ", text, re.M)}
    offered = head - {"model", "task"}
    assert offered <= ALL
    assert ALL - offered >= missing and not offered & missing
    for name in offered:
        assert f"{name}={name.upper()}" in text, "and it is handed on"
