"""Files as tools and repositories really have them, beyond each format's textbook form."""

from __future__ import annotations

import json

import pytest
from examples import FLAT, SQUARE, H, W, coco, coco_dict, labelstudio, photo, voc, yolo

from cvtk.data import read
from cvtk.data.checks import check
from cvtk.data.checks.repair import repair
from cvtk.data.convert import convert, load
from cvtk.data.formats.detect import detect
from cvtk.errors import DataError


def test_label_studio_with_relations_between_regions(tmp_path):
    file = labelstudio(tmp_path)
    tasks = json.loads(file.read_text())
    relation = {"from_id": "leaf", "to_id": "box", "type": "relation", "direction": "r"}
    tasks[0]["annotations"][1]["result"].append(relation)
    file.write_text(json.dumps(tasks))
    assert load(file).dataset.class_names == ["leaf", "box", "ring"]


def test_a_cvat_project_with_subsets(tmp_path):
    for subset in ("Train", "Validation"):
        photo(tmp_path / "images" / subset / "a.png", len(subset))
    image = (
        '<image id="{}" name="a.png" subset="{}" width="40" height="30">'
        '<box label="leaf" xtl="1" ytl="2" xbr="11" ybr="12"/></image>'
    )
    text = "".join(image.format(k, s) for k, s in enumerate(("Train", "Validation")))
    labels = "<labels><label><name>leaf</name></label></labels>"
    (tmp_path / "annotations.xml").write_text(
        f"<annotations><meta><project>{labels}</project></meta>{text}</annotations>"
    )
    dataset = load(tmp_path).dataset
    assert [i.file_name for i in dataset.images] == [
        "images/Train/a.png",
        "images/Validation/a.png",
    ]
    assert [a.bbox for a in dataset.annotations] == [[1, 2, 10, 10]] * 2


def test_labelme_xml_of_the_first_labelme(tmp_path):
    photo(tmp_path / "Images" / "plants" / "a.jpg")
    points = "".join(f"<pt><x>{x:g}</x><y>{y:g}</y></pt>" for x, y in SQUARE)
    thing = (
        "<object><name>leaf</name><deleted>{}</deleted><polygon>{}</polygon></object>"
    )
    file = tmp_path / "Annotations" / "plants" / "a.xml"
    file.parent.mkdir(parents=True)
    file.write_text(
        "<annotation><filename>a.jpg</filename><folder>plants</folder>"
        f"{thing.format(0, points)}{thing.format(1, points)}</annotation>"
    )
    assert detect(tmp_path) == detect(file) == "labelme"
    converted = load(tmp_path)
    (found,) = converted.dataset.annotations
    assert found.segmentation == [FLAT]
    assert [n.text for n in converted.notes] == ["left out: it is marked as deleted"]


def test_yolo_1_1_of_cvat(tmp_path):
    photo(tmp_path / "obj_train_data" / "a.jpg")
    (tmp_path / "obj_train_data" / "a.txt").write_text("1 0.5 0.5 0.5 0.5\n")
    (tmp_path / "obj.names").write_text("stem\nleaf\n")
    (tmp_path / "obj.data").write_text("classes = 2\nnames = data/obj.names\n")
    (tmp_path / "train.txt").write_text("data/obj_train_data/a.jpg\n")
    assert detect(tmp_path) == "yolo"
    dataset = load(tmp_path).dataset
    assert dataset.counts() == {"stem": 0, "leaf": 1}
    assert dataset.annotations[0].bbox == [10, 7.5, 20, 15]


def test_a_yolo_folder_whose_yaml_has_another_name(tmp_path):
    folder = yolo(tmp_path)
    (folder / "data.yaml").rename(folder / "coco128-seg.yaml")
    (folder / "environment.yaml").write_text("name: lab\n")
    assert detect(folder) == "yolo"
    assert load(folder).dataset.class_names == ["box", "leaf"]


def test_labelme_two_folders_down(tmp_path):
    file = coco(tmp_path / "in")
    content = coco_dict()
    content["images"][0]["file_name"] = "a/b/c.png"
    photo(tmp_path / "in" / "a" / "b" / "c.png")
    file.write_text(json.dumps(content))
    convert(file, tmp_path / "out", target_format="labelme")
    assert detect(tmp_path / "out") == "labelme"
    assert load(tmp_path / "out").dataset.images[0].file_name == "a/b/c.png"


def test_labelme_marks_what_is_to_be_ignored(tmp_path):
    photo(tmp_path / "a.png")
    shapes = [
        {"label": name, "points": SQUARE, "shape_type": "polygon"}
        for name in ("leaf", "__ignore__")
    ]
    (tmp_path / "a.json").write_text(
        json.dumps({"shapes": shapes, "imagePath": "a.png"})
    )
    converted = load(tmp_path)
    assert converted.dataset.class_names == ["leaf"]
    assert "ignored" in converted.notes[0].text


def test_coco_annotations_beside_images(tmp_path):
    """annotations/instances_train.json beside train2017/, as COCO itself has it."""
    photo(tmp_path / "train2017" / "a.png")
    (tmp_path / "annotations").mkdir()
    file = tmp_path / "annotations" / "instances_train.json"
    image = {"id": 1, "file_name": "a.png", "width": W, "height": H}
    file.write_text(json.dumps(coco_dict(images=[image])))
    (problem,) = [p for p in check([file]).problems.items if p.severity == "error"]
    assert problem.kind == "missing"
    assert "cvtk data convert" in problem.remedy
    with pytest.raises(DataError, match="cvtk data convert"):
        repair(file)
    done = convert(file, tmp_path / "all.json")
    assert done.copied == 0
    assert read(tmp_path / "all.json").images[0].file_name == "train2017/a.png"


@pytest.mark.parametrize(
    ("text", "crowd"), [("false", 0), ("true", 1), ("0", 0), ("1", 1)]
)
def test_iscrowd_as_a_text(text, crowd, tmp_path):
    content = coco_dict()
    content["annotations"][0].update(iscrowd=text, note="kept")
    (tmp_path / "a.json").write_text(json.dumps(content))
    (found,) = read(tmp_path / "a.json").annotations
    assert found.iscrowd == crowd
    assert bytes(found.extra["note"]) == b'"kept"'


def test_the_voc_export_of_cvat_counts_from_zero(tmp_path):
    folder = voc(tmp_path)
    (folder / "SegmentationObject" / "é b.png").unlink()
    file = folder / "Annotations" / "é b.xml"
    unknown = "".join(
        f"<{k}>Unknown</{k}>" for k in ("database", "annotation", "image")
    )
    text = file.read_text("utf-8").replace(
        "<size>", f"<source>{unknown}</source><size>"
    )
    file.write_text(text, "utf-8")
    boxes = [a.bbox for a in load(folder).dataset.annotations]
    assert boxes == [[6, 5, 19, 15], [31, 3, 5, 6]]


def test_voc_classes_come_in_the_order_of_labelmap(tmp_path):
    folder = voc(tmp_path)
    (folder / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\ndog:1,2,3::\ncat:4,5,6::\nleaf:7,8,9::\n"
    )
    assert load(folder).dataset.class_names == ["dog", "cat", "leaf"]


def test_a_set_of_lines_alone_says_that_lines_have_no_area(tmp_path):
    photo(tmp_path / "a.png")
    shape = {"label": "root", "points": [[1, 1], [9, 9]], "shape_type": "linestrip"}
    (tmp_path / "a.json").write_text(
        json.dumps({"shapes": [shape], "imagePath": "a.png"})
    )
    with pytest.raises(
        DataError, match="All 1 objects were left out, the first"
    ) as error:
        convert(tmp_path, tmp_path / "out.json")
    assert "has no area" in str(error.value)
