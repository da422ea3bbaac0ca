"""The example beside an exported file finds what cvtk finds with that file."""

from __future__ import annotations

import runpy

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs onnx")
pytest.importorskip("onnxruntime", reason="needs onnxruntime")

import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image, ImageFilter
from pycocotools import mask as coco_mask

import cvtk
from cvtk.engine.export.example import write_example
from cvtk.exported.description import FORMAT, KEY, Description, ImageForm, MaskForm
from cvtk.io import encode_mask

CANVAS = ImageForm((96, 96), True, canvas=(96, 96), fill=(114, 90, 60))
FORMS = {
    "RTMDet-Ins": (CANVAS, MaskForm("input", 0.0, stride=8)),
    "Mask R-CNN": (ImageForm((160, 96), True), MaskForm("box", 0.5)),
    "YOLACT": (ImageForm((96, 96), False), MaskForm("image", 0.5)),
    "CondInst": (
        ImageForm((160, 96), True, resampling="pillow"),
        MaskForm("input", 0.5, stride=1),
    ),
    "YOLOX": (CANVAS, None),
}


def write_network(file, description):
    """A network that finds the same two objects in any picture; their score is how bright the picture is."""
    boxes = np.array([[10, 12, 60, 50], [30.5, 5, 70, 55.5]], np.float32)
    given = {"boxes": boxes, "labels": np.array([1, 0])}
    if description.masks is not None:
        rows, columns = np.mgrid[-1:1:12j, -1:1:12j]
        discs = [0.8 - np.hypot(rows, columns), 0.9 - np.hypot(rows + 0.3, columns)]
        given["masks"] = np.array(discs, np.float32) + description.masks.threshold
    outputs = ["boxes", "scores", "labels", "masks"][: len(given) + 1]
    nodes = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array))
        for name, array in given.items()
    ]
    scale = numpy_helper.from_array(np.full(2, 1 / 255, np.float32))
    nodes += [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels"], ["brightness"], keepdims=0),
        helper.make_node("Constant", [], ["scale"], value=scale),
        helper.make_node("Mul", ["scale", "brightness"], ["scores"]),
    ]
    picture = ("image", TensorProto.UINT8, [1, None, None, 3])
    inputs = [picture, ("score", TensorProto.FLOAT, [])]
    graph = helper.make_graph(
        nodes,
        "two",
        [helper.make_tensor_value_info(*each) for each in inputs],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    helper.set_model_props(model, {KEY: description.text()})
    onnx.save(model, file)


@pytest.fixture
def photo():
    noise = np.random.default_rng(0).integers(0, 256, (150, 203, 3), dtype=np.uint8)
    return Image.fromarray(noise).filter(ImageFilter.GaussianBlur(3))


@pytest.mark.parametrize("form", FORMS)
def test_it_finds_what_cvtk_finds(form, photo, tmp_path):
    image, masks = FORMS[form]
    description = Description(
        format=FORMAT,
        cvtk=cvtk.__version__,
        architecture=form,
        task="segm" if masks else "det",
        classes=["apple", "pear"],
        category_ids=[1, 2],
        image=image,
        masks=masks,
        lowest_score=0.0,
        score=0.1,
        licence="not stated",
    )
    write_network(tmp_path / "two.onnx", description)
    script = tmp_path / "two_onnx.py"
    write_example(script, "two.onnx", "onnx", description, force=False)
    found = runpy.run_path(str(script))["find_objects"](photo)
    [expected] = cvtk.create_model(tmp_path / "two.onnx").predict(np.asarray(photo))
    assert [name for name, *_ in found] == ["pear", "apple"]
    assert sorted(expected.labels) == [0, 1]
    for name, score, box, *mask in found:
        index = list(expected.labels).index(["apple", "pear"].index(name))
        left, top, width, height = expected.bboxes[index]
        assert score == pytest.approx(expected.scores[index], abs=0.002)
        assert box == pytest.approx([left, top, left + width, top + height], abs=0.01)
        if masks:
            area = coco_mask.area(expected.masks[index])
            assert 100 < area < 0.8 * photo.width * photo.height
            same = coco_mask.iou([encode_mask(*mask)], [expected.masks[index]], [0])
            assert same[0, 0] > 0.99
