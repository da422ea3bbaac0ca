"""Trained weights as ONNX, for OpenVINO and in TorchScript: they find the same, and do not need MMDetection."""

from __future__ import annotations

import json
import runpy
import shutil
import subprocess
import sys
import zlib
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("mmdet", reason="needs MMDetection")
pytest.importorskip("onnx", reason="needs onnx")
pytest.importorskip("onnxruntime", reason="needs onnxruntime")
pytest.importorskip("openvino", reason="needs openvino")

import onnx
from PIL import Image
from pycocotools import mask as coco_mask

import cvtk
import cvtk.io
from cvtk.analysis.thresholds import Thresholds
from cvtk.data.tiles import tiles_of
from cvtk.engine.export.export import scores_to_note
from cvtk.engine.seams import as_result, merge, pieces_of
from cvtk.errors import FileError, ModelError, OptionError
from cvtk.exported.options import ExportOptions

pytestmark = pytest.mark.train

FILES = {
    "onnx": "fruit.onnx",
    "openvino": "fruit.xml",
    "torchscript": "fruit.torchscript",
}
every_kind = pytest.mark.parametrize("kind", FILES)
# Put before a program, this makes importing these fail.
WITHOUT = """
import sys
for name in {names}:
    sys.modules[name] = None
"""
MMDETECTION = ("mmcv", "mmdet", "mmengine")
PYTORCH = ("torch", "torchvision")


# Lowest score of the objects of a network that has learned for seconds.
WEAK = 0.001
# It finds nothing in images that are larger than what it has learned from.
AS_LARGE = [
    "test_dataloader.dataset.pipeline.1.scale=(96, 96)",
    "test_dataloader.dataset.pipeline.2.size=(96, 96)",
]


@pytest.fixture(scope="module")
def exported(demo, make_folder):
    """Weights of a short training, and their exported files."""
    folder = make_folder("exported")
    model = cvtk.create_model("rtmdet-ins_tiny_8xb32-300e_coco", labels=demo.label)
    model.train(
        demo.train,
        output_weights=folder / "fruit.pth",
        epoch=8,
        batch_size=2,
        num_workers=0,
        image_size=96,
        lr=0.002,
        weights="none",
        set=[f"model.test_cfg.score_thr={WEAK}", *AS_LARGE],
        device="cpu",
    )
    for kind in FILES:
        model.export(kind, licence="CC BY 4.0", score=WEAK)
    return folder


def results(file, images, score=WEAK):
    return list(cvtk.create_model(file).predict(images, score=score, device="cpu"))


def require_same_objects(found, expected):
    """Objects of one class in the same order of scores, with the same scores, boxes and masks.

    Of those with the lowest score, the last digits decide which are among the 100 that are kept.
    """
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
    lowest = expected.scores.min() + 1e-5 if len(expected) == 100 else 0
    compared = np.flatnonzero(expected.scores > lowest)
    assert len(compared) > 0.8 * len(expected)
    for index in compared:
        mask = expected.masks[index]
        near = np.abs(found.scores - expected.scores[index]) < 1e-4
        same = found[near & (found.labels == expected.labels[index])]
        ious = coco_mask.iou(same.masks, [mask], [0]) if len(same) else np.zeros(1)
        assert ious.max() >= 0.99 or coco_mask.area(mask) == 0
        assert np.abs(same.bboxes - expected.bboxes[index]).max(axis=1).min() < 0.1


@every_kind
def test_it_finds_what_the_weights_find(exported, demo, kind):
    images = demo.train.parent / "images"
    expected = results(exported / "fruit.pth", images)
    areas = [coco_mask.area(mask) for result in expected for mask in result.masks]
    assert sum(area > 100 for area in areas) > 10, "or there is nothing to compare"
    found = results(exported / FILES[kind], images)
    for one, other in zip(found, expected, strict=True):
        assert (one.path, one.width, one.height) == (
            other.path,
            other.width,
            other.height,
        )
        require_same_objects(one, other)


def test_the_next_images_are_those_that_the_weights_choose(exported, demo):
    folder = demo.test.parent / "images"
    chosen = [
        cvtk.create_model(exported / name).choose_next(folder, 2, device="cpu")
        for name in ("fruit.onnx", "fruit.pth")
    ]
    assert len(chosen[0]) == 2
    assert [i.path for i in chosen[0]] == [i.path for i in chosen[1]]
    assert [i.uncertainty for i in chosen[0]] == pytest.approx(
        [i.uncertainty for i in chosen[1]], abs=0.01
    )


def test_only_strong_objects(exported, demo):
    images = demo.train.parent / "images"
    every = results(exported / "fruit.onnx", images)
    middle = float(np.median(np.concatenate([result.scores for result in every])))
    strong = results(exported / "fruit.onnx", images, score=middle)
    found = [scores for result in strong for scores in result.scores]
    assert 0 < len(found) < sum(map(len, every))
    assert min(found) >= middle


def test_with_8_bits_it_is_smaller_and_says_what_it_still_finds(exported, demo, caplog):
    images = demo.train.parent / "images"
    model = cvtk.create_model(exported / "fruit.pth")
    with caplog.at_level("INFO", logger="cvtk"):
        small = model.export("onnx", int8=images, score=WEAK)
    assert small == exported / "fruit_int8.onnx"
    assert small.with_name("fruit_int8_onnx.py").exists()
    assert small.stat().st_size < (exported / "fruit.onnx").stat().st_size / 2
    props = {p.key: p.value for p in onnx.load(small).metadata_props}
    assert json.loads(props["cvtk"])["bits"] == 8
    found = total = 0
    for one, other in zip(
        results(exported / "fruit.onnx", images), results(small, images), strict=True
    ):
        for mask, label in zip(one.masks, one.labels, strict=True):
            same = other[other.labels == label].masks
            total += 1
            found += bool(same) and coco_mask.iou(same, [mask], [0]).max() >= 0.5
    assert found > 10, "or there is nothing to compare"
    assert f"With 8 bits it finds {found} of the {total} objects" in caplog.text


@every_kind
def test_nothing_found(exported, demo, kind):
    images = demo.train.parent / "images"
    found = results(exported / FILES[kind], images, score=1)
    assert [len(result) for result in found] == [0] * 4


@every_kind
def test_the_metrics_are_the_same(exported, demo, kind):
    expected = cvtk.create_model(exported / "fruit.pth").evaluate(demo.test)
    found = cvtk.create_model(exported / FILES[kind]).evaluate(demo.test)
    for part in ("stats", "bbox_stats"):
        assert found[part] == pytest.approx(expected[part], abs=0.001)
    told = cvtk.compare(exported / "fruit.pth", exported / FILES[kind], demo.train)
    assert "cannot be told apart on these 4 images" in told.sentence


def test_large_images_in_tiles(exported, demo):
    """Its tiles are what one would cut and predict oneself, of a size that it knows from the training.

    What the weights find in tiles is the same only where scores differ: those of a weak network are often equal,
    and then the last digit decides which of two views is the better one.
    """
    image = sorted((demo.train.parent / "images").iterdir())[0]
    model = cvtk.create_model(exported / "fruit.onnx")

    def found(pixels, tile=None):
        [result] = model.predict(pixels, score=WEAK, tile=tile, device="cpu")
        return result

    pixels = np.asarray(Image.open(image).convert("RGB"))
    height, width = pixels.shape[:2]
    tiles = tiles_of(width, height, 64, 0.2)
    pieces = []
    for tile in tiles:
        part = found(pixels[tile.top : tile.bottom, tile.left : tile.right])
        pieces += pieces_of(part, tile, height, width)
    by_hand = as_result(merge(pieces, tiles, height, width), part, height, width)
    tiled = found(pixels, 64)
    assert len(tiled) > 5, "or there is nothing to compare"
    assert tiled.masks == by_hand.masks
    np.testing.assert_allclose(tiled.scores, by_hand.scores, atol=1e-6)
    # The longer side of the images of the training, 128 pixels, is that of the network's input.
    assert found(pixels, "auto").masks == found(pixels, 128).masks


def test_it_knows_what_is_needed_to_use_it(exported, demo):
    import onnxruntime

    session = onnxruntime.InferenceSession(exported / "fruit.onnx")
    about = json.loads(session.get_modelmeta().custom_metadata_map["cvtk"])
    assert about["classes"] == demo.label.read_text().split()
    assert about["image"]["canvas"] == [96, 96]
    assert (about["score"], about["licence"]) == (WEAK, "CC BY 4.0")
    assert about["cvtk"] == cvtk.__version__
    assert about["architecture"] == "RTMDet with CSPNeXt"
    model = cvtk.create_model(exported / "fruit.onnx")
    assert (model.task, model.classes) == ("segm", about["classes"])


def test_it_cuts_at_the_scores_of_the_file_and_scales_as_training_did(
    exported, demo, tmp_path
):
    images = demo.train.parent / "images"
    names = {n for r in results(exported / "fruit.onnx", images) for n in r.names}
    first, *others = sorted(names)
    assert others, "or there is nothing to tell apart"
    model = onnx.load(exported / "fruit.onnx")
    about = json.loads(model.metadata_props[0].value)
    # As if the training had chosen a score for one class.
    about.update(class_scores={first: 1.0}, score=0.0, intensity="range")
    model.metadata_props[0].value = json.dumps(about)
    onnx.save(model, tmp_path / "fruit.onnx")
    found = results(tmp_path / "fruit.onnx", images, score=None)
    assert {name for result in found for name in result.names} == {*others}
    model = cvtk.create_model(tmp_path / "fruit.onnx")
    told = model.evaluate(demo.train, tmp_path / "out")
    assert told["cut_at"] == {**dict.fromkeys(model.classes, 0.0), first: 1.0}
    report = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "fruit.onnx was exported with" in report and "1.00" in report
    # Of 12 bits: nearly black by the upper 8 of 16, and by its range as the same image of 8 bits.
    grey = np.asarray(Image.open(sorted(images.iterdir())[0]).convert("L"))
    grey = ((grey - grey.min()) * (255 / np.ptp(grey))).round().astype(np.uint16)
    Image.fromarray(grey.astype(np.uint8)).save(tmp_path / "grey.png")
    Image.fromarray(grey * 16).save(tmp_path / "deep.png")
    plain, deep = (
        results(tmp_path / "fruit.onnx", tmp_path / name)[0]
        for name in ("grey.png", "deep.png")
    )
    assert len(plain) > 0
    np.testing.assert_array_equal(deep.bboxes, plain.bboxes)


def test_the_scores_of_the_training_go_with_the_export():
    chosen = Thresholds({"apple": 0.6, "pear": 0.2}, common=0.4, notes=[])
    network = SimpleNamespace(thresholds=chosen)
    assert scores_to_note(network, ExportOptions()) == (
        0.4,
        {"apple": 0.6, "pear": 0.2},
    )
    assert scores_to_note(network, ExportOptions(score=0.5)) == (0.5, {})
    assert scores_to_note(SimpleNamespace(thresholds=None), ExportOptions()) == (
        0.3,
        {},
    )


def run(code, *args, without=(), blocked=(*MMDETECTION, *PYTORCH)):
    code = WITHOUT.format(names=[*blocked, *without]) + code
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, args)],
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("kind", ["onnx", "openvino"])
def test_a_script_uses_it_without_mmdetection(
    exported, demo, tmp_path, kind, modules_beside
):
    """`inference` and `evaluate` of a helper script, in a process that can import what `cvtk[onnx]` brings alone."""
    without = modules_beside(kind)
    script = tmp_path / "segm.py"
    cvtk.create_script(script, "segm", "rtmdet-ins_tiny_8xb32-300e_coco")
    code = "import runpy; sys.argv[:1] = []; runpy.run_path(sys.argv[0], run_name='__main__')"
    common = "--model_weights", exported / FILES[kind], "--label", demo.label
    done = run(
        *(
            code,
            script,
            "inference",
            "--data",
            demo.test,
            "--score",
            str(WEAK),
            *common,
        ),
        *("--output", tmp_path / "found"),
        without=without,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found" / "instances.json").read_text())
    expected = results(exported / "fruit.pth", demo.test)
    assert len(found["annotations"]) == sum(map(len, expected))
    done = run(
        *(code, script, "evaluate", "--data", demo.test, *common),
        *("--output", tmp_path / "metrics"),
        without=without,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "metrics" / "report.html").exists()
    assert "The figures are left out" in done.stdout
    assert not (tmp_path / "metrics" / "figures").exists()


def test_without_mmdetection_mistakes_end_in_one_line(exported, tmp_path):
    code = "from cvtk.cli import main; main(sys.argv[1:], prog_name='cvtk')"
    done = run(code, "export", exported / "fruit.onnx")
    assert done.returncode == 1
    assert "exported already" in done.stderr and "Traceback" not in done.stderr
    done = run(code, "export", exported / "fruit.pth")
    assert done.returncode == 1
    assert "needs MMDetection" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("kind", "without"),
    [
        ("onnx", ["torch", "torchvision", "openvino"]),
        ("openvino", ["torch", "torchvision", "onnx", "onnxruntime"]),
        ("torchscript", ["onnx", "onnxruntime", "openvino"]),
    ],
)
def test_the_example_needs_little(exported, demo, tmp_path, kind, without):
    example = exported / f"fruit_{kind}.py"
    assert len(example.read_text().splitlines()) <= 54
    for file in exported.glob("fruit*"):
        if file.is_file() and file.suffix != ".pth":
            shutil.copy(file, tmp_path)
    [image, *_] = sorted((demo.train.parent / "images").iterdir())
    code = "import runpy; sys.argv[:1] = []; runpy.run_path(sys.argv[0], run_name='__main__')"
    done = run(
        *(code, tmp_path / example.name, image, tmp_path / "found.png"),
        blocked=MMDETECTION,
        without=(
            *without,
            *("cvtk", "cv2", "pycocotools", "scipy", "matplotlib", "pandas"),
        ),
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "found.png").exists()
    [expected] = results(exported / "fruit.onnx", image)
    assert abs(len(done.stdout.splitlines()) - len(expected)) <= 0.2 * len(expected)


def test_the_masks_of_the_example(exported, demo):
    """Pillow rounds pixels in its own way, so that a mask may differ at its edge, and a weak object be missing."""
    find_objects = runpy.run_path(str(exported / "fruit_onnx.py"))["find_objects"]
    images = sorted((demo.train.parent / "images").iterdir())
    ious = []
    for path, expected in zip(
        images, results(exported / "fruit.onnx", images), strict=True
    ):
        objects = find_objects(Image.open(path).convert("RGB"))
        masks = [cvtk.io.encode_mask(mask) for _, _, _, mask in objects]
        for mask in expected.masks:
            if coco_mask.area(mask) > 100:
                ious.append(coco_mask.iou(masks, [mask], [0]).max())
    assert len(ious) > 10, "or there is nothing to compare"
    assert np.median(ious) > 0.95


def test_nothing_is_replaced(exported):
    model = cvtk.create_model(exported / "fruit.pth")
    before = zlib.crc32((exported / "fruit.onnx").read_bytes())
    with pytest.raises(FileError, match=r"fruit.onnx exists already"):
        model.export("onnx")
    assert zlib.crc32((exported / "fruit.onnx").read_bytes()) == before
    assert not list(exported.glob(".*"))


def test_it_cannot_learn(exported, demo, tmp_path):
    model = cvtk.create_model(exported / "fruit.onnx")
    with pytest.raises(ModelError, match=r"exported model, which cannot learn"):
        model.train(demo.train, output_weights=tmp_path / "a.pth")


def test_it_cannot_be_exported_again(exported, tmp_path):
    model = cvtk.create_model(exported / "fruit.onnx")
    with pytest.raises(ModelError, match=r"exported already"):
        model.export("onnx", output=tmp_path / "a.onnx")


def test_other_labels(exported):
    with pytest.raises(ModelError, match=r"was trained for"):
        cvtk.create_model(exported / "fruit.onnx", labels=["weed"])


def test_options_that_cannot_be_used(exported):
    model = cvtk.create_model(exported / "fruit.pth")
    with pytest.raises(OptionError, match=r"opset cannot be 99. Use a whole number"):
        model.export("onnx", opset=99)
    with pytest.raises(OptionError, match=r"does not end in .onnx"):
        model.export("onnx", output="a.bin")
    with pytest.raises(OptionError, match=r"--int8 is for --to onnx, not openvino"):
        model.export("openvino", int8="images")
    with pytest.raises(FileError, match=r"nothing_here: no such file"):
        model.export("onnx", output=exported / "b.onnx", int8="nothing_here")
    with pytest.raises(OptionError, match=r"does not end in .xml. Call it NAME.xml"):
        model.export("openvino", output="a.onnx")


def test_a_model_without_weights(demo):
    model = cvtk.create_model("rtmdet-ins_tiny_8xb32-300e_coco", labels=demo.label)
    with pytest.raises(ModelError, match=r"has no weights yet"):
        model.export("onnx")
