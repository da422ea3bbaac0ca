"""The doctor finds each thing that is wrong, names it, and mends what can be mended."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from examples import FLAT, H, W, coco_dict, photo, ring
from PIL import Image
from pycocotools.coco import COCO

from cvtk.data import read
from cvtk.data.checks import check
from cvtk.data.checks.repair import repair_file
from cvtk.data.checks.report import summary, write_report
from cvtk.data.grouping import group_keys, series_of
from cvtk.data.images import read_image
from cvtk.data.masks import from_bitmap
from cvtk.errors import FileError

BASE = coco_dict()["annotations"][0]


def save(folder, content, name="set.json"):
    file = folder / name
    file.write_text(json.dumps(content))
    for image in content["images"]:
        place = folder / image["file_name"]
        if not place.exists():
            photo(place, hash(image["file_name"]) % 1000)
    return file


def twelve(folder, name="set.json", prefix="", **changes):
    """A healthy set: 12 images with a leaf each."""
    images = [
        {"id": k, "file_name": f"{prefix}i{k}.png", "width": W, "height": H}
        for k in range(12)
    ]
    for k in range(12):
        photo(folder / f"{prefix}i{k}.png", k + 100 * len(prefix))
    annotations = [{**BASE, "id": k, "image_id": k} for k in range(12)]
    return save(
        folder, {**coco_dict(images=images, annotations=annotations), **changes}, name
    )


def test_a_healthy_set_has_no_problems(tmp_path):
    report = check([twelve(tmp_path)])
    assert report.problems.items == []
    assert report.passed
    assert summary(report).endswith("Check passed. 0 errors, 0 warnings.")


def bad(**changes):
    return {**BASE, "id": 99, "image_id": 0, **changes}


@pytest.mark.parametrize(
    ("annotation", "kind", "severity"),
    [
        (bad(id=3), "id twice", "error"),
        (bad(image_id=77), "points nowhere", "error"),
        (bad(category_id=77), "points nowhere", "error"),
        (bad(segmentation=[[1, 1, 9, 9]]), "under three points", "error"),
        (bad(segmentation=[[1, 1, 9, 9, 9, 1, 4]]), "under three points", "error"),
        (bad(segmentation="mask"), "mask form", "error"),
        (bad(segmentation={"size": [H, W], "counts": [3, 4]}), "mask form", "error"),
        (bad(segmentation={"size": [W, H], "counts": [W * H]}), "mask form", "error"),
        (
            bad(segmentation={"size": [H, W], "counts": [W * H]}, bbox=[1, 1, 3, 3]),
            "zero area",
            "warning",
        ),
        (
            bad(segmentation=[[1, 1, 9, 9, 5, 5]], bbox=[1, 1, 8, 8]),
            "zero area",
            "warning",
        ),
        (bad(bbox=[5, 4, 0, 16]), "zero area", "warning"),
        (bad(segmentation=[[5, 4, 25, 20, 25, 4, 5, 20]]), "crosses itself", "warning"),
        (bad(segmentation=[[v + 50 for v in FLAT]]), "outside", "warning"),
        (bad(bbox=[50, 4, 20, 16]), "outside", "warning"),
        (bad(segmentation=[[v + 18 for v in FLAT]]), "partly outside", "warning"),
        (bad(bbox=[5, 4, 60, 16]), "partly outside", "warning"),
        (bad(bbox=[5, 4, 10, 16]), "box and mask", "warning"),
        (bad(bbox=[5, 4, 20]), "box form", "error"),
        (bad(bbox=None, segmentation=[]), "no box", "error"),
        (bad(segmentation=[]), "no mask", "warning"),
        (bad(area=999), "area and mask", "warning"),
        (bad(image_id=1, area=320), "annotation twice", "warning"),
        (bad(area="much"), "form", "error"),
    ],
)
def test_each_fault_of_an_annotation_is_named_and_mended(
    annotation, kind, severity, tmp_path
):
    file = twelve(tmp_path)
    content = json.loads(file.read_text())
    content["annotations"].append(annotation)
    file.write_text(json.dumps(content))
    report = check([file])
    (found,) = report.problems.of_kind(kind)
    assert found.severity == severity
    assert found.file == str(file)
    assert found.remedy
    assert str(annotation["id"]) in found.item
    assert report.passed == (report.problems.number("error") == 0)

    fixed, notes = repair_file(file, tmp_path / "fixed.json")
    assert len(notes) >= (0 if kind in ("crosses itself", "no mask") else 1)
    assert COCO(str(tmp_path / "fixed.json")).getAnnIds() == [
        a.id for a in fixed.annotations
    ]
    again = check([tmp_path / "fixed.json"])
    assert again.passed
    left = {"crosses itself", "no mask"}
    # The box without a mask is that of the leaf it was copied from.
    left |= {"near-identical objects"} if kind == "no mask" else set()
    assert {p.kind for p in again.problems.items} <= left


def test_faults_of_images_are_named_and_mended(tmp_path):
    file = twelve(tmp_path)
    content = json.loads(file.read_text())
    (tmp_path / "i0.png").unlink()
    data = (tmp_path / "i1.png").read_bytes()
    (tmp_path / "i1.png").write_bytes(data[:-60])
    content["images"][2]["width"] = W + 1
    (tmp_path / "i4.png").write_bytes((tmp_path / "i3.png").read_bytes())
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(tmp_path / "i5.png").save(
        tmp_path / "i5.png", exif=exif
    )  # now 30 x 40 as displayed
    Image.open(tmp_path / "i6.png").save(tmp_path / "i13.jpg", quality=60)
    content["images"] += [{"id": 13, "file_name": "i13.jpg", "width": W, "height": H}]
    file.write_text(json.dumps(content))
    report = check([file])
    found = {(p.kind, p.item.split("(")[-1].strip(")")) for p in report.problems.items}
    assert found == {
        ("missing", "i0.png"),
        ("truncated", "i1.png"),
        ("image size", "i2.png"),
        ("image size", "i5.png"),
        ("duplicate image", "i4.png"),
        ("near-duplicate image", "i13.jpg"),
        ("image without annotations", "i13.jpg"),
    }
    assert "because its EXIF orientation turns it" in next(
        p.message for p in report.problems.items if "i5.png" in p.item
    )
    fixed, _ = repair_file(file, tmp_path / "fixed.json")
    assert len(fixed.images) == 11
    assert check([tmp_path / "fixed.json"]).passed


def test_names_are_compared_with_the_label_file(tmp_path):
    file = twelve(tmp_path)
    (tmp_path / "label.txt").write_text("leef\n\nflower\n", encoding="utf-8-sig")
    report = check([file], label=tmp_path / "label.txt")
    assert not report.passed
    messages = [p.message for p in report.problems.of_kind("class name")]
    assert "Did you mean 'leef'?" in messages[0]
    assert "Did you mean 'leaf'?" in messages[1]
    with pytest.raises(FileError, match="no such file"):
        check([file], label=tmp_path / "no.txt")


def test_images_in_two_splits_and_classes_not_trained_are_errors(tmp_path):
    train = twelve(tmp_path)
    valid = json.loads(train.read_text())
    valid["images"], valid["annotations"] = (
        valid["images"][:1],
        [{**BASE, "image_id": 0, "category_id": 5}],
    )
    valid["categories"] = [{"id": 5, "name": "stem"}]
    report = check([train, save(tmp_path, valid, "valid.json")])
    (twice,) = report.problems.of_kind("in two splits")
    assert "'i0.png' of train" in twice.message
    (untrained,) = report.problems.of_kind("class not trained")
    assert untrained.item == "class 'stem'"


def test_the_report_has_the_fields_of_paddlex_and_one_page(tmp_path):
    train = twelve(tmp_path)
    valid = twelve(tmp_path, "valid.json", "v")
    content = json.loads(valid.read_text())
    content["annotations"][0]["segmentation"] = {
        "size": [H, W],
        "counts": from_bitmap(ring()).counts,
    }
    content["annotations"][1]["image_id"] = 500
    valid.write_text(json.dumps(content))
    report = check([train, valid])
    page = write_report(report, tmp_path / "out", count=2)
    result = json.loads(
        (tmp_path / "out" / "check_dataset_result.json").read_text("utf-8")
    )
    assert result["done_flag"] is True
    assert result["check_pass"] is False
    assert result["dataset_type"] == "COCOInstSegDataset"
    assert result["dataset_path"] == str(train)
    attributes = result["attributes"]
    assert (
        attributes["num_classes"],
        attributes["train_samples"],
        attributes["val_samples"],
    ) == (1, 12, 12)
    assert len(attributes["train_sample_paths"]) == 2
    for path in [*attributes["val_sample_paths"], result["analysis"]["histogram"]]:
        with Image.open(tmp_path / "out" / path) as image:
            assert min(image.size) > 0
    assert {p["kind"] for p in result["problems"]} >= {"points nowhere"}
    assert {"severity", "file", "item", "message", "remedy"} <= result["problems"][
        0
    ].keys()
    html = page.read_text("utf-8")
    assert "points nowhere" in html
    assert "demo_img/train/" in html


def test_without_matplotlib_the_report_has_no_histogram(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    page = write_report(check([twelve(tmp_path)]), tmp_path / "out", count=0)
    assert "histogram" not in page.read_text("utf-8")
    assert not (tmp_path / "out" / "check_dataset" / "histogram.png").exists()
    assert "The histogram is left out" in caplog.text


def test_objects_outlined_twice_are_named(tmp_path):
    file = twelve(tmp_path)
    content = json.loads(file.read_text())
    again = [v + 1 for v in FLAT]  # 19 x 15 of 340 pixels in common: 285 / 355
    apart = [v + 4 if k % 2 else v for k, v in enumerate(FLAT)]
    content["annotations"] += [
        bad(id=50, segmentation=[again], bbox=[6, 5, 20, 16]),
        bad(id=51, image_id=1, segmentation=[apart], bbox=[5, 8, 20, 16]),
    ]
    file.write_text(json.dumps(content))
    (found,) = check([file]).problems.of_kind("near-identical objects")
    assert (found.item, found.message) == (
        "annotation 50 (i0.png)",
        "it is nearly the same object as annotation 0",
    )


def test_frames_of_one_video_in_two_splits_hint_at_group_by(tmp_path):
    files = []
    for split, frames in (("train", (1, 2)), ("valid", (3,))):
        names = [f"{split[0]}/video{v}image{k}.png" for v in (1, 2) for k in frames]
        names = [name.split("/")[1] for name in names]
        images = [
            {"id": k, "file_name": name, "width": W, "height": H}
            for k, name in enumerate(names)
        ]
        annotations = [{**BASE, "id": k, "image_id": k} for k in range(len(names))]
        content = coco_dict(images=images, annotations=annotations)
        files.append(save(tmp_path, content, f"{split}.json"))
    found = check(files).problems.of_kind("one series")
    assert [p.item for p in found] == ["video1image3.png", "video2image3.png"]
    pattern = found[0].remedy.split("--group-by '")[1].split("'")[0]
    entries = read(files[0]).images
    assert group_keys(entries, pattern) == ["video1", "video1", "video2", "video2"]


def test_names_that_are_only_numbered_tell_of_no_series():
    assert series_of([f"IMG_{k}.jpg" for k in range(9)]) == {}
    assert series_of(["a.jpg", "plot_1_2.jpg", "plot_1_3.jpg", "plot_2_1.jpg"]) == {}
    assert series_of(["plot_1_2.jpg", "plot_1_3.jpg", "plot_2_1.jpg"]) == {
        "plot_1_2.jpg": "plot_1",
        "plot_1_3.jpg": "plot_1",
        "plot_2_1.jpg": "plot_2",
    }


def test_names_in_a_report_are_no_markup_and_a_zero_is_shown(tmp_path):
    file = twelve(tmp_path, categories=[{"id": 1, "name": "<script>alert(1)</script>"}])
    page = write_report(check([file]), tmp_path / "out", count=1).read_text("utf-8")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert '<td class="n">0</td>' in page  # none is large
    assert "in one image\n1 to 1" in page
    assert page.count("<figcaption>") == 2


@pytest.mark.parametrize("orientation", [3, 6])
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff"])
def test_images_that_opencv_does_not_turn_are_named(suffix, orientation, tmp_path):
    """The oracle is OpenCV itself: a warning where what it reads is not what is displayed."""
    cv2 = pytest.importorskip("cv2", reason="MMDetection reads with OpenCV")
    exif = Image.Exif()
    exif[0x0112] = orientation
    name = f"turned.{suffix}"
    photo(tmp_path / "plain.png")
    with Image.open(tmp_path / "plain.png") as image:
        options = {"lossless": True} if suffix == "webp" else {}
        image.convert("RGB").save(tmp_path / name, exif=exif, **options)
    shown = read_image(tmp_path / name)
    try:
        opened = cv2.imread(str(tmp_path / name))
    except cv2.error:
        opened = None
    same = opened is not None and opened.shape == shown.shape
    same = same and np.abs(opened[..., ::-1].astype(int) - shown).mean() < 5
    height, width = shown.shape[:2]
    entry = {"id": 1, "file_name": name, "width": width, "height": height}
    file = save(tmp_path, coco_dict(images=[entry]))
    (found,) = check([file]).problems.of_kind("EXIF rotated")
    assert found.severity == ("note" if same else "warning")
