"""A small made-up MMDetection, and the installed one."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from cvtk import zoo
from cvtk.zoo import index

METAFILE = """
Collections:
  - Name: Mask R-CNN
    Paper: {URL: https://arxiv.org/abs/1703.06870v3, Title: Mask R-CNN}
Models:
  - Name: mask_rcnn_r50_old_name
    In Collection: Mask R-CNN
    Config: configs/gn%2Bws/mask-rcnn_r50_fpn_1x_coco.py
    Metadata: {Training Memory (GB): 4.4, Epochs: 12}
    Results:
      - {Task: Object Detection, Dataset: COCO, Metrics: {box AP: 38.2}}
      - {Task: Instance Segmentation, Dataset: COCO, Metrics: {mask AP: 34.7}}
    Weights: https://example.org/mask.pth
  - Name: mask-rcnn_r101_fpn_1x_coco.py
    In Collection: Mask R-CNN
    Config: mask-rcnn_r101_fpn_1x_coco.py
    Results:
      - {Task: Instance Segmentation, Dataset: COCO, Metrics: {mask AP: 36.1}}
  - Name: tracker_x
    In Collection: Tracker
    Config: configs/gn+ws/tracker_x.py
    Results: [{Task: Multiple Object Tracking, Dataset: MOT17, Metrics: {MOTA: 60.0}}]
  - Name: gone
    In Collection: Mask R-CNN
    Config: configs/gn+ws/gone.py
"""


@pytest.fixture
def root(tmp_path):
    """A folder such as mmdet's `.mim`: an index, one family, pieces that are not models."""
    (tmp_path / "model-index.yml").write_text(
        "Import: [configs/gn+ws/metafile.yml, configs/broken/metafile.yml]"
    )
    family = tmp_path / "configs" / "gn+ws"
    for folder in (
        family,
        tmp_path / "configs" / "broken",
        tmp_path / "configs" / "_base_",
    ):
        folder.mkdir(parents=True)
    (family / "metafile.yml").write_text(METAFILE)
    (tmp_path / "configs" / "broken" / "metafile.yml").write_text("Models: [unclosed")
    (tmp_path / "configs" / "_base_" / "mask-rcnn_r50_fpn.py").write_text("")
    for name in (
        "mask-rcnn_r50_fpn_1x_coco",
        "mask-rcnn_r101_fpn_1x_coco",
        "tracker_x",
        "mask-rcnn_r18_extra",
    ):
        (family / f"{name}.py").write_text("")
    return tmp_path


@pytest.fixture
def small(root, monkeypatch, tmp_path_factory):
    """The made-up MMDetection in place of the installed one: a source checkout, configurations beside it."""
    (root / "mmdet").mkdir()
    (root / "mmdet" / "__init__.py").write_text(
        "raise RuntimeError('mmdet was imported')"
    )
    monkeypatch.syspath_prepend(str(root))
    monkeypatch.delitem(sys.modules, "mmdet", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    index.all_entries.cache_clear()
    yield root
    index.all_entries.cache_clear()


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """The entries of the installed MMDetection by name, read without an older cache."""
    if importlib.util.find_spec("mmdet") is None:
        pytest.skip("needs MMDetection")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    index.all_entries.cache_clear()
    return {e.name: e for e in zoo.catalogue()}
