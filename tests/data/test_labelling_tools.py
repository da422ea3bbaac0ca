"""Predictions become pre-annotations of labelling tools, and come back as labels."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import numpy as np
import pytest
from examples import H, W, coco_dict, photo, ring, square
from scipy.spatial import KDTree
from skimage.measure import approximate_polygon

from cvtk.cli import main
from cvtk.data import read
from cvtk.data.contours import trace
from cvtk.data.convert import convert, load
from cvtk.data.formats.labelstudio import decode_brush
from cvtk.data.formats.labelstudio_write import encode_brush
from cvtk.data.masks import from_bitmap, iou, to_bitmap
from cvtk.data.outlines import outline, simplified, simplify
from cvtk.errors import DataError, FileError

TOOLS = {"labelme": "labelme", "labelstudio": "labelstudio/tasks.json", "cvat": "cvat"}
SIZE = 200


def disc(x, y, rx, ry):
    row, column = np.mgrid[:SIZE, :SIZE] + 0.5
    return ((column - x) / rx) ** 2 + ((row - y) / ry) ** 2 <= 1


def shapes():
    """A large disc, a small one, one of two parts, one with a hole, one pixel, and a crowd in a frame of holes."""
    crowd = np.zeros((SIZE, SIZE), bool)
    for k in range(9):
        crowd |= disc(120 + 25 * (k % 3), 120 + 25 * (k // 3), 13, 13)
    crowd[120, 120] = False
    pixel = np.zeros((SIZE, SIZE), bool)
    pixel[3, 190] = True
    return [
        disc(60, 60, 50, 40),
        disc(150, 30, 4, 3),
        disc(30, 150, 20, 9) | disc(80, 170, 6, 12),
        disc(60, 60, 30, 20) & ~disc(55, 60, 10, 8),
        pixel,
        crowd,
    ]


def predicted(folder, masks=None):
    """`instances.json` as inference writes it, a drawing of the same name beside it, and the photograph elsewhere."""
    photo(folder / "photos" / "a" / "1.png", size=(SIZE, SIZE))
    photo(folder / "found" / "a" / "1.png", seed=1, size=(SIZE, SIZE))
    masks = shapes() if masks is None else masks
    annotations = []
    for number, mask in enumerate(masks, 1):
        rle = from_bitmap(mask)
        annotations.append(
            {
                "id": number,
                "image_id": 1,
                "category_id": 1 + number % 2,
                "segmentation": {"size": rle.size, "counts": rle.counts},
                "bbox": [0, 0, 1, 1],
                "area": int(mask.sum()),
                "iscrowd": int(number == 6),
                "score": number / 10,
            }
        )
    document = {
        "categories": [{"id": 1, "name": "leaf"}, {"id": 2, "name": "イチゴ & <b>"}],
        "images": [{"id": 1, "file_name": "a/1.png", "width": SIZE, "height": SIZE}],
        "annotations": annotations,
    }
    file = folder / "found" / "instances.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    return file


def pre_annotate(folder, tool, **options):
    """The source and the target of a conversion to a tool."""
    file = predicted(folder)
    photos = folder / "photos"
    convert(file, folder / tool, target_format=tool, image_folder=photos, **options)
    return file, folder / TOOLS[tool]


@pytest.mark.parametrize("tool", TOOLS)
def test_what_goes_to_a_tool_comes_back(tool, tmp_path):
    file, target = pre_annotate(tmp_path, tool)
    before, after = read(file), load(target).dataset
    assert len(after.annotations) == len(before.annotations)
    names = {c.id: c.name for c in before.categories}
    names_after = {c.id: c.name for c in after.categories}
    for a, b in zip(before.annotations, after.annotations, strict=True):
        assert names_after[b.category_id] == names[a.category_id]
        assert iou(a.segmentation, b.segmentation, SIZE, SIZE) >= 0.99
        assert not b.is_crowd
    [image] = after.images
    copy = after.folder / image.file_name
    assert copy.read_bytes() == (tmp_path / "photos" / "a" / "1.png").read_bytes()


@pytest.mark.parametrize("tool", TOOLS)
def test_scores_go_along_and_come_back_as_what_the_model_said(tool, tmp_path):
    _, target = pre_annotate(tmp_path, tool)
    after = load(target).dataset
    # Predictions that nobody has looked at in Label Studio are still predictions.
    key = "score" if tool == "labelstudio" else "predicted_score"
    told = [json.loads(bytes(a.extra[key])) for a in after.annotations]
    assert told == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    assert all("description" not in a.extra for a in after.annotations)


def test_weak_predictions_are_left_out_on_request(tmp_path):
    _, target = pre_annotate(tmp_path, "labelme", score=0.35)
    assert len(load(target).dataset.annotations) == 3


def test_predictions_must_say_where_their_images_are(tmp_path, capsys):
    file = predicted(tmp_path)
    with pytest.raises(FileError, match=r"drawings of the same names.*--image_folder"):
        convert(file, tmp_path / "out", target_format="labelme")
    convert(file, tmp_path / "bare", target_format="labelme", images=False)
    assert not list((tmp_path / "bare").rglob("*.png"))
    (tmp_path / "empty").mkdir()
    command = f"data convert {file} {tmp_path / 'out'} --to cvat --image_folder"
    for folder, told in (("empty", "None of the 1 images"), ("no", "no such folder")):
        with pytest.raises(SystemExit) as end:
            main([*command.split(), str(tmp_path / folder)])
        assert end.value.code == 1
        assert told in capsys.readouterr().err


@pytest.mark.parametrize("tool", TOOLS)
def test_images_in_which_nothing_was_found_can_be_labelled(tool, tmp_path):
    file = predicted(tmp_path, masks=[])
    photos = tmp_path / "photos"
    convert(file, tmp_path / tool, target_format=tool, image_folder=photos)
    [image] = load(tmp_path / TOOLS[tool]).dataset.images
    assert image.file_name.endswith("a/1.png")
    with pytest.raises(DataError, match="has no annotations"):
        convert(file, tmp_path / "out.json", image_folder=photos)


def test_predictions_of_a_tool_lie_beside_their_images(tmp_path):
    _, tasks = pre_annotate(tmp_path, "labelstudio")
    done = convert(tasks, tmp_path / "back" / "all.json")
    assert (done.copied, len(done.dataset.annotations)) == (1, 6)


def test_annotations_are_converted_as_before(tmp_path):
    photo(tmp_path / "photos" / "é b.png")
    (tmp_path / "all.json").write_text(json.dumps(coco_dict()), "utf-8")
    for tool, target in TOOLS.items():
        convert(tmp_path / "all.json", tmp_path / tool, target_format=tool)
        [annotation] = load(tmp_path / target).dataset.annotations
        assert (to_bitmap(annotation.segmentation, W, H) == square()).all()
        assert annotation.score is None


def test_label_studio_gets_predictions_and_an_interface_that_fits(tmp_path):
    _, target = pre_annotate(tmp_path, "labelstudio")
    [task] = json.loads(target.read_text("utf-8"))
    assert task["data"]["image"] == "/data/local-files/?d=images/a/1.png"
    assert task["annotations"] == []
    [prediction] = task["predictions"]
    assert prediction["score"] == pytest.approx(0.35)
    assert [r["score"] for r in prediction["result"]] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    view = ElementTree.parse(target.parent / "config.xml").getroot()
    controls = {control.get("name"): control for control in view}
    assert controls["image"].get("value") == "$image"
    for region in prediction["result"]:
        control = controls[region["from_name"]]
        assert control.tag.lower() == region["type"]
        assert control.get("toName") == region["to_name"]
        [label] = region["value"][region["type"]]
        assert label in [child.get("value") for child in control]


def test_once_somebody_labelled_predictions_are_no_labels(tmp_path):
    _, target = pre_annotate(tmp_path, "labelstudio")
    [task] = json.loads(target.read_text("utf-8"))
    corrected = {**task, "annotations": [{"result": task["predictions"][0]["result"]}]}
    photo(target.parent / "images" / "2.png", size=(SIZE, SIZE))
    unseen = {**task, "data": {"image": "images/2.png"}}
    target.write_text(json.dumps([corrected, unseen]), "utf-8")
    found = load(target)
    assert [image.file_name for image in found.dataset.images] == ["images/a/1.png"]
    assert "predicted_score" in found.dataset.annotations[0].extra
    assert any("nobody labelled it" in note.text for note in found.notes)


def test_cvat_gets_labels_that_take_the_score(tmp_path):
    _, target = pre_annotate(tmp_path, "cvat")
    labels = json.loads((target / "labels.json").read_text("utf-8"))
    assert [label["name"] for label in labels] == ["leaf", "イチゴ & <b>"]
    assert labels[0]["attributes"][0]["name"] == "score"
    tree = ElementTree.parse(target / "annotations.xml").getroot()
    [image] = tree.iter("image")
    assert image.get("name") == "a/1.png"
    assert {shape.get("source") for shape in image} == {"auto"}
    assert {shape.tag for shape in image} == {"polygon", "mask"}
    for mask in image.iter("mask"):
        runs = [int(v) for v in mask.get("rle").split(",")]
        assert sum(runs) == int(mask.get("width")) * int(mask.get("height"))


def test_labelme_shows_the_score_and_keeps_what_was_written(tmp_path):
    _, target = pre_annotate(tmp_path, "labelme")
    file = target / "a" / "1.json"
    content = json.loads(file.read_text("utf-8"))
    first = content["shapes"][0]
    assert (first["score"], first["description"]) == (0.1, "score 0.10")
    first["description"] = "a runner"
    file.write_text(json.dumps(content), "utf-8")
    found = load(target).dataset.annotations
    assert json.loads(bytes(found[0].extra["description"])) == "a runner"


def test_boxes_of_a_detector_stay_boxes(tmp_path):
    file = predicted(tmp_path)
    content = json.loads(file.read_text("utf-8"))
    for annotation in content["annotations"]:
        del annotation["segmentation"]
        annotation["bbox"] = [10.25, 20, 30, 40.5]
    file.write_text(json.dumps(content), "utf-8")
    for tool, target in TOOLS.items():
        photos = tmp_path / "photos"
        convert(file, tmp_path / tool, target_format=tool, image_folder=photos)
        found = load(tmp_path / target).dataset.annotations
        assert len(found) == 6
        for annotation in found:
            assert annotation.segmentation is None
            assert annotation.bbox == pytest.approx([10.25, 20, 30, 40.5])


@pytest.mark.parametrize("mask", shapes()[:4], ids=["large", "small", "parts", "hole"])
def test_outlines_are_within_a_pixel_and_have_few_corners(mask):
    exact, short = trace(mask), outline(mask)
    points = np.concatenate([np.reshape(p, (-1, 2)) for part in exact for p in part])
    lines = []
    for polygon in (p for part in short for p in part):
        corners = np.reshape(polygon, (-1, 2))
        for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            steps = np.linspace(0, 1, 100)[:, None]
            lines.append(a + steps * (b - a))
    distance, _ = KDTree(np.concatenate(lines)).query(points)
    assert distance.max() <= 1 + 1e-6
    if mask.sum() > 5000:
        assert sum(map(len, short[0])) < 0.4 * sum(map(len, exact[0]))


def test_what_is_drawn_along_pixels_stays_exactly():
    outer, holes = outline(ring() != 0)
    assert [len(outer), len(holes)] == [1, 1]
    assert sorted(np.reshape(outer[0], (-1, 2)).tolist()) == sorted(
        [[5, 4], [25, 4], [25, 20], [5, 20]]
    )


@pytest.mark.parametrize("tolerance", [0.3, 1.0, 2.5])
def test_simplifying_a_line_as_scikit_image_does(tolerance):
    random = np.random.default_rng(0)
    for length in (2, 3, 40):
        line = np.cumsum(random.normal(size=(length, 2)), axis=0)
        expected = approximate_polygon(line, tolerance)
        np.testing.assert_array_equal(simplified(line, tolerance), expected)


def test_a_pixel_does_not_survive_simplifying():
    assert simplify([0, 0, 1, 0, 1, 1, 0, 1], 1.0) == []
    only = np.ones((1, 1), bool)
    assert outline(only) == trace(only)


@pytest.mark.parametrize("seed", range(3))
def test_brushes_are_decoded_as_they_were_encoded(seed):
    mask = np.random.default_rng(seed).random((37, 23)) < 0.5
    mask = np.kron(mask, np.ones((1, 1 + 7 * seed))) != 0
    code = encode_brush(mask)
    assert (decode_brush(code, mask.shape[1], mask.shape[0]) == 255 * mask).all()
    whole = np.zeros((300, 301), bool)  # a run longer than its largest field
    assert not decode_brush(encode_brush(whole), 301, 300).any()
