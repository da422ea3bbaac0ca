"""What a network takes, read from the steps for its test images."""

from __future__ import annotations

import pytest

from cvtk.engine.export.inputs import image_form
from cvtk.errors import ModelError
from cvtk.exported.description import ImageForm

READ = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations"}]
PACK = [{"type": "PackDetInputs"}]
SQUARE = {"type": "Resize", "scale": (640, 640), "keep_ratio": True}

PIPELINES = {
    "Mask R-CNN": (
        [{"type": "Resize", "scale": (1333, 800), "keep_ratio": True}],
        ImageForm((1333, 800), keep_ratio=True),
    ),
    "RTMDet": (
        [SQUARE, {"type": "Pad", "size": (640, 640), "pad_val": {"img": (9, 8, 7)}}],
        ImageForm((640, 640), keep_ratio=True, canvas=(640, 640), fill=(7, 8, 9)),
    ),
    "YOLOX": (
        [SQUARE, {"type": "Pad", "pad_to_square": True, "pad_val": 114}],
        ImageForm((640, 640), True, canvas=(640, 640), fill=(114, 114, 114)),
    ),
    "CondInst": (
        [{"type": "Resize", "scale": (9, 7), "keep_ratio": True, "backend": "pillow"}],
        ImageForm((9, 7), keep_ratio=True, resampling="pillow"),
    ),
    "YOLACT": (
        [{"type": "mmdet.Resize", "scale": (550, 550), "keep_ratio": False}],
        ImageForm((550, 550), keep_ratio=False),
    ),
}


@pytest.mark.parametrize(("steps", "expected"), PIPELINES.values(), ids=PIPELINES)
def test_the_picture_that_a_network_takes(steps, expected):
    assert image_form([*READ, *steps, *PACK]) == expected


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        ([SQUARE, {"type": "TestTimeAug"}], "go through TestTimeAug"),
        ([{"type": "LoadProposals"}, SQUARE], "another network proposes"),
        ([{"type": "RandomCenterCropPad"}], "images as large as they are"),
        ([], "not scaled"),
        ([SQUARE | {"backend": "tifffile"}], r"scaled by tifffile \(bilinear\)"),
        ([SQUARE | {"interpolation": "nearest"}], r"scaled by cv2 \(nearest\)"),
        ([SQUARE, {"type": "Pad", "size_divisor": 32}], "padded in a way"),
    ],
    ids=str,
)
def test_what_an_exported_model_cannot_do(steps, problem):
    with pytest.raises(ModelError, match=problem):
        image_form([*READ, *steps, *PACK])
