"""`cvtk models`, as a user types it."""

from __future__ import annotations

import importlib.util
import json

import pytest
from click.testing import CliRunner

from cvtk.cli import main

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mmdet") is None, reason="needs MMDetection"
)


def run(*args, code=0):
    result = CliRunner().invoke(main, ["models", *args])
    assert result.exit_code == code, result.output
    return result.output


def test_table_is_sorted_and_says_what_it_leaves_out():
    lines = run("mask", "rcnn", "r50", "--limit", "3").splitlines()
    assert (
        " ".join(lines[0].split())
        == "name family mask AP box AP M params GB, batch 4 epochs weights"
    )
    assert len(lines) == 5 and "more: narrow the search" in lines[4]


def test_info_shows_the_command_to_create_a_script():
    text = run("info", "rtmdet-ins_tiny")
    assert "--task segm --model rtmdet-ins_tiny_8xb32-300e_coco" in text
    assert "https://download.openmmlab.com/" in text and "35.4" in text


def test_json_of_a_search_and_of_one_model():
    found = json.loads(run("solov2", "--json"))
    assert {"name", "mask_ap", "weights_url", "config"} <= set(found[0])
    assert json.loads(run("info", "solov2_r50_fpn_1x_coco", "--json"))["epochs"] == 12


def test_a_model_of_another_toolbox_is_answered_with_near_ones_or_a_plain_no():
    text = run("Mask-RT-DETR-L")
    assert "Mask-RT-DETR-L exists only in PaddleX (mask AP 45.7" in text
    assert len(text.splitlines()) >= 5
    text = run("e2e_mask_rcnn_R_50_FPN_1x")
    assert "is called mask-rcnn_r50-caffe_fpn_1x_coco here" in text
    assert text.splitlines()[-1].startswith("mask-rcnn_r50-caffe_fpn_1x_coco ")
    assert run("Pose2Seg").splitlines()[-1].startswith("pose2seg_r50_fpn ")
    found = CliRunner().invoke(main, ["models", "YOLACT++", "--json"])
    assert json.loads(found.stdout)[0]["name"] == "yolact_r101_1xb8-55e_coco"


def test_nothing_found_is_an_error_with_a_way_out():
    assert "Did you mean 'solo'" in run("solx", code=1)
    assert "No model fits" in run("solov2", "--max-memory", "0.1", code=1)
    assert "Which model?" in run("info", code=2)


def test_memory_is_estimated_for_the_batch_that_is_asked_for():
    # published: 18.4 GB for 32 images per step
    assert "18.4 GB for 32 images" in run("info", "rtmdet-ins_tiny")
    for batch, memory in (("4", "2.3"), ("2", "1.1")):
        header, row, *_ = run(
            "rtmdet-ins_tiny", "--max-memory", "5", "--batch-size", batch
        ).splitlines()
        assert f"GB, batch {batch}" in header
        assert row.startswith("rtmdet-ins_tiny") and f" {memory} " in row
