"""Architectures are found by what people call them."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cvtk import zoo
from cvtk.errors import InstallError, ModelError
from cvtk.zoo import index


@pytest.mark.parametrize(
    "name",
    [
        "mask-rcnn_r50_fpn_1x_coco",
        "mask_rcnn_r50_old_name",
        "Mask R-CNN r50",
        "rcnn_r50_fpn",
        "mask-rcnn_r50_fpn_1x_coco.py",
    ],
)
def test_find_by_name_alias_part(small, name):
    assert zoo.find(name).name == "mask-rcnn_r50_fpn_1x_coco"


def test_find_a_file_outside_the_index_by_its_exact_stem(small):
    assert zoo.find("mask-rcnn_r18_extra", "segm").weights_url is None


def test_find_a_configuration_file(small, tmp_path):
    own = tmp_path / "my model.py"
    own.write_text("model = dict(type='Mine')")
    assert zoo.find(str(own), "segm") == zoo.Entry(
        "my model", tmp_path.name, "segm", own, listed=False
    )
    listed = small / "configs" / "gn+ws" / "mask-rcnn_r50_fpn_1x_coco.py"
    assert zoo.find(str(listed)).weights_url == "https://example.org/mask.pth"


@pytest.mark.parametrize("text", ["model = dict(\n", "a = 1\n b = 2", "\0"])
def test_a_configuration_that_is_not_python_is_told(text, small, tmp_path):
    own = tmp_path / "mine.py"
    own.write_text(text)
    with pytest.raises(
        ModelError, match=r"mine\.py, line \d: this is not a config"
    ) as error:
        zoo.find(str(own))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "task", "said"),
    [
        ("mask-rcnn_r5_fpn_1x_coco", None, "Did you mean 'mask-rcnn_r50_fpn_1x_coco'"),
        (
            "mask-rcnn",
            None,
            "2 models share the name 'mask-rcnn': mask-rcnn_r50_fpn_1x_coco, mask-rcnn_r101",
        ),
        ("tracker_x", None, "a task that cvtk does not train"),
        (
            "mask-rcnn_r50_fpn_1x_coco",
            "det",
            "is a model for instance segmentation, not for object detection",
        ),
        ("nowhere/model.py", None, "There is no configuration file nowhere/model.py"),
        ("", None, "names no model"),
    ],
)
def test_find_says_what_is_wrong(small, name, task, said):
    with pytest.raises(ModelError) as caught:
        zoo.find(name, task)
    assert said in str(caught.value)


def test_without_mmdetection_the_remedy_is_said(monkeypatch):
    index.all_entries.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InstallError, match=r'pip install "cvtk\[mmdet\]"'):
        zoo.find("mask-rcnn_r50_fpn_1x_coco")


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("mask rcnn", "mask-rcnn_r50_fpn_1x_coco"),
        ("Mask R-CNN", "mask-rcnn_r101_fpn_1x_coco"),
        ("maskrcnn resnext-101", "mask-rcnn_x101-32x4d_fpn_1x_coco"),
        ("Mask R-CNN ResNet-50 C4", "mask-rcnn_r50-caffe-c4_1x_coco"),
        ("MaskRCNN-ResNet50-FPN", "mask-rcnn_r50_fpn_1x_coco"),
        ("Cascade Mask R-CNN", "cascade-mask-rcnn_r50_fpn_1x_coco"),
        ("SOLOv2", "solov2_r50_fpn_1x_coco"),
        ("YOLACT", "yolact_r50_1xb8-55e_coco"),
        ("RTMDet-Ins", "rtmdet-ins_tiny_8xb32-300e_coco"),
        ("HRNet", "mask-rcnn_hrnetv2p-w18-1x_coco"),
        ("DCN", "mask-rcnn_r50-mdconv-c3-c5_fpn_1x_coco"),
        ("Pose2Seg", "pose2seg_r50_fpn"),
    ],
)
def test_models_are_found_by_their_usual_names(installed, query, name):
    assert name in [e.name for e in zoo.search(query)]


def test_search_puts_the_method_asked_for_first_then_sorts_by_ap(installed):
    found = zoo.search("mask rcnn", task="segm")
    own = [
        e for e in found if e.family == "Mask R-CNN" or e.name.startswith("mask-rcnn")
    ]
    assert found[: len(own)] == own and len(found) > len(own)
    scores = [e.ap or 0.0 for e in zoo.search(task="det")]
    assert scores == sorted(scores, reverse=True)


def test_search_keeps_the_limits_asked_for(installed):
    small = zoo.search(max_memory=5, batch_size=4)
    assert all(e.memory_gb / e.images_per_gpu * 4 <= 5 for e in small)
    names = [e.name for e in small]
    assert "rtmdet-ins_tiny_8xb32-300e_coco" in names, "the one for small machines"
    assert "mask-rcnn_x101-64x4d_fpn_1x_coco" not in names
    assert all(
        e.params is not None and e.params <= 20 for e in zoo.search(max_params=20)
    )
    assert {e.family for e in zoo.search(family="rtmdet-ins")} == {"RTMDet-Ins"}


def test_looking_a_model_up_imports_nothing_heavy(installed, tmp_path):
    code = (
        "import sys; from cvtk import zoo; zoo.find('rtmdet-ins_tiny', 'segm');"
        "print({m.split('.')[0] for m in sys.modules} & {'torch', 'mmdet', 'mmcv', 'mmengine', 'pandas'})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
    )
    assert done.stdout.strip() == "set()", done.stderr
    assert list(Path(tmp_path).rglob("zoo-*.json"))
