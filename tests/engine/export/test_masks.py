"""Where masks are taken, and for which architectures they cannot be."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs PyTorch")
pytest.importorskip("mmdet", reason="needs MMDetection")

from mmdet.models.dense_heads import DecoupledSOLOHead, SOLOV2Head
from mmdet.models.roi_heads.mask_heads import FCNMaskHead, GridHead
from mmdet.models.seg_heads.panoptic_fusion_heads import MaskFormerFusionHead
from torch import nn

from cvtk.engine.export.export import write
from cvtk.engine.export.masks import take_masks
from cvtk.engine.spec import ModelSpec
from cvtk.errors import ModelError
from cvtk.exported.options import ExportOptions


def network(kind):
    """A network with a head of some kind that was never set up."""
    head = kind.__new__(kind)
    nn.Module.__init__(head)
    return nn.Sequential(head)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (SOLOV2Head, "the masks of SOLO"),
        (DecoupledSOLOHead, "the masks of SOLO"),
        (MaskFormerFusionHead, "the masks of Mask2Former"),
        (GridHead, "not one that can be exported"),
    ],
)
def test_a_sentence_says_why_not(kind, reason):
    with pytest.raises(ModelError, match=reason):
        take_masks(network(kind), [])


def test_masks_of_boxes_are_taken():
    assert take_masks(network(FCNMaskHead), []).covers == "box"


def test_a_model_that_is_given_poses(tmp_path):
    (tmp_path / "dancers.py").write_text("model = dict(type='Pose2Seg')\n")
    spec = ModelSpec("dancers", tmp_path / "dancers.py", "segm", ["dancer"], [1])
    with pytest.raises(ModelError, match=r"Pose2Seg cannot be exported: It finds"):
        write(spec, ExportOptions(), tmp_path / "dancers.onnx")
