"""Models that only Paddle has."""

from __future__ import annotations

import pytest

from cvtk import zoo
from cvtk.errors import ModelError


def test_models_of_paddle_alone_lead_to_equivalents(installed):
    model = zoo.paddle_model("PP-YOLOE_seg-S")
    assert model is not None and model.mask_ap == 32.5
    near = zoo.equivalents(model, n=3)
    assert len(near) == 3
    assert all(abs(e.mask_ap - 32.5) < 4 and e.weights_url for e in near)
    assert (
        zoo.paddle_model("mask rcnn") is None
        and zoo.paddle_model("mask rt-detr l").name == "Mask-RT-DETR-L"
    )
    with pytest.raises(
        ModelError, match="exists only in Paddle; near it in mask AP and size: "
    ):
        zoo.find("Mask-RT-DETR-L", "segm")
