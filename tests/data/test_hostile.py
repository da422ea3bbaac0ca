"""Broken and hostile files of every format: an error that names the file or item, or a note; never a crash."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from examples import ALL, H, W, coco_dict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from cvtk.data import read, require_images
from cvtk.data.checks import check, require_trainable
from cvtk.data.checks.repair import repair
from cvtk.data.coco import to_dict
from cvtk.data.convert import convert, load
from cvtk.data.crop import crop
from cvtk.data.edit import combine
from cvtk.data.show import show
from cvtk.data.split import parse_ratios, split
from cvtk.data.stats import stats
from cvtk.errors import CvtkError, DataError

TEXT = {
    "coco": "all.json",
    "labelme": "json/é b.json",
    "voc": "Annotations/é b.xml",
    "yolo": "labels/train/é b.txt",
    "via": "via.json",
    "cvat": "annotations.xml",
    "labelstudio": "export.json",
}
ODD = [
    None, True, -1, 0, 10**9, 1e308, -1e30, "", "x", "NaN", [], [[]], [None], {}, {"a": 1}, [1] * 7,
    "../../../etc/passwd", "\x00", "é" * 300, [[1, 2], [3]], 2**70, [[0, 0, 1]], {"size": [3, 4], "counts": "zz"},
    {"size": [10**9, 10**9], "counts": [5]}, {"size": [H, W], "counts": "0P"}, [["a", "b"]],
]  # fmt: skip
# CVTK_EXAMPLES=5000 searches for minutes where the default takes seconds.
quick = settings(
    max_examples=int(os.environ.get("CVTK_EXAMPLES", "40")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize="CVTK_EXAMPLES" not in os.environ,
)


def places(node, path=()):
    """The path of every value inside a JSON document."""
    yield path
    items = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    for key, value in items:
        yield from places(value, (*path, key))


def put(node, path, value):
    if not path:
        return value
    holder = node
    for key in path[:-1]:
        holder = holder[key]
    if value == "DELETE":
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return node


def use(file, folder):
    """What else is done with a set."""
    dataset = read(file)
    only_clear_errors(lambda: stats(dataset))
    only_clear_errors(lambda: show(dataset, folder / "shown", force=True))
    only_clear_errors(lambda: crop(dataset, folder / "crops", masked=True, force=True))
    only_clear_errors(lambda: split(dataset, parse_ratios("1:1")))
    only_clear_errors(lambda: combine([dataset, dataset]))
    for form in ("coco", "yolo", "labelme", "voc"):
        target = folder / (f"{form}.json" if form == "coco" else form)
        only_clear_errors(
            lambda t=target, f=form: convert(file, t, target_format=f, force=True)
        )


def train_and_evaluate(file):
    """What a training and an evaluation do with a set that `require_trainable` lets pass."""
    for task in ("segm", "det"):
        dataset = read(file)
        require_trainable(dataset, ["leaf"], task, train=False)
        coco = COCO()
        coco.dataset = to_dict(dataset)
        coco.createIndex()
        assert len(coco.anns) == len(dataset.annotations)
        assert len(coco.imgs) == len(dataset.images)
        for found in coco.anns.values():
            if found.get("segmentation"):
                image = coco.imgs[found["image_id"]]
                mask = coco.annToMask(found)
                assert mask.shape == (image["height"], image["width"])
            assert len(found["bbox"]) == 4 and np.isfinite(found["bbox"]).all()
            assert np.isfinite(found["area"]) and found["iscrowd"] in (0, 1)
        evaluation = COCOeval(coco, coco.loadRes(results(coco)), "bbox")
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation.evaluate()


def results(coco):
    """A detection of each object, as if all were found."""
    return [
        {key: found[key] for key in ("image_id", "category_id", "bbox")}
        | {"score": 0.5}
        for found in coco.anns.values()
    ]


def only_clear_errors(action):
    """Runs something that may refuse, in one line that says what about."""
    try:
        action()
    except CvtkError as error:
        text = str(error)
        assert len(text) > 20
        assert "Traceback" not in text


@pytest.mark.parametrize("name", ["coco", "labelme", "via", "labelstudio"])
def test_any_value_of_a_json_may_be_anything(name):
    with tempfile.TemporaryDirectory() as folder:
        source = ALL[name](Path(folder))
        file = Path(folder) / TEXT[name]
        good = file.read_text("utf-8")
        paths = [p for p in places(json.loads(good)) if len(p) < 8]

        @quick
        @given(
            st.lists(
                st.tuples(st.sampled_from(paths), st.sampled_from([*ODD, "DELETE"])),
                max_size=2,
            )
        )
        def run(changes):
            document = json.loads(good)
            for path, value in changes:
                try:
                    document = put(document, path, copy.deepcopy(value))
                except (KeyError, IndexError, TypeError):
                    continue  # the first change took away the place of the second
            file.write_text(json.dumps(document), encoding="utf-8")
            only_clear_errors(lambda: load(source, format=name))
            if name == "coco":
                only_clear_errors(lambda: check([file]))
                only_clear_errors(lambda: repair(file))
                only_clear_errors(lambda: require_images(read(file)))
                only_clear_errors(lambda: train_and_evaluate(file))
                only_clear_errors(lambda: use(file, Path(folder) / "used"))

        run()


@pytest.mark.parametrize("name", TEXT)
def test_any_text_may_be_cut_or_changed(name):
    with tempfile.TemporaryDirectory() as folder:
        source = ALL[name](Path(folder))
        file = Path(folder) / TEXT[name]
        good = file.read_bytes()
        words = [
            b"",
            b"nan",
            b"inf",
            b"-1",
            b"1e999",
            b"999999999999",
            b"\xff",
            b'"',
            b"<",
            b"{",
            b"0 0",
            b"\n7 1",
        ]

        @quick
        @given(st.integers(0, len(good)), st.integers(0, 12), st.sampled_from(words))
        def run(start, length, word):
            file.write_bytes(good[:start] + word + good[start + length :])
            only_clear_errors(lambda: load(source, format=name))

        run()


@pytest.mark.parametrize("name", ["voc", "masks"])
def test_a_mask_may_be_any_file(name, tmp_path):
    source = ALL[name](tmp_path)
    folder = tmp_path / ("SegmentationObject" if name == "voc" else "masks/leaf")
    (folder / "é b.png").write_bytes(b"no png")
    with pytest.raises(DataError, match=r"é b.png cannot be read as a mask"):
        load(source)


def write(folder, content):
    file = folder / "bad.json"
    file.write_text(
        content if isinstance(content, str) else json.dumps(content), encoding="utf-8"
    )
    return file


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not JSON"),
        ("hello", "is not JSON: .* line 1, column 1"),
        ('{"images": [}', "is not JSON: .* line 1"),
        ('{"images": []}', "is not a COCO data set: it has no 'annotations'"),
        (
            '{"images": {}, "annotations": [], "categories": []}',
            "'images' is not a list",
        ),
        ("[1, 2]", "JSON list, not a COCO data set"),
        ('{"images": ' + "[" * 200_000 + "]" * 200_000 + "}", "nested too deeply"),
        (
            json.dumps(coco_dict()).replace("320", "NaN"),
            r"annotations\[0\] \(id 1\).*`float \| null`.*area",
        ),
        (
            json.dumps(coco_dict()).replace('"category_id": 1,', ""),
            r"annotations\[0\].*category_id",
        ),
        (
            json.dumps(coco_dict()).replace('"width": 40', '"width": "wide"'),
            r"images\[0\].*width",
        ),
    ],
)
def test_broken_coco_is_told_with_file_and_item(text, said, tmp_path):
    with pytest.raises(DataError, match=said) as error:
        read(write(tmp_path, text))
    assert "bad.json" in str(error.value)


def test_utf16_is_told(tmp_path):
    (tmp_path / "a.json").write_bytes(json.dumps(coco_dict()).encode("utf-16"))
    with pytest.raises(DataError, match=r"a.json is not UTF-8"):
        read(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (
            {
                "images": [
                    {"id": 1, "file_name": "../secret.png", "width": W, "height": H}
                ]
            },
            "file name",
        ),
        (
            {"images": [{"id": 1, "file_name": "/etc/hosts", "width": W, "height": H}]},
            "file name",
        ),
        (
            {"images": [{"id": 1, "file_name": "a.png", "width": 10**9, "height": 1}]},
            "image size",
        ),
    ],
)
def test_absurd_images_are_told(change, kind, tmp_path):
    report = check([write(tmp_path, coco_dict(**change))], images=False)
    assert [p.item[:7] for p in report.problems.of_kind(kind)] == ["image 1"]
    assert not report.passed


@pytest.mark.parametrize(
    "points", [[1e18, 1, 5, 9, 9, 9], [1.0, 1.0, 39.0, 1.0] * 250_000]
)
def test_absurd_polygons_neither_fill_the_memory_nor_hang(points, tmp_path):
    content = coco_dict()
    content["annotations"][0]["segmentation"] = [points]
    file = write(tmp_path, content)
    report = check([file], images=False)
    assert any("annotation 1" in p.item for p in report.problems.items)
    fixed, notes = repair(file, images=False)
    assert not fixed.annotations or len(points) < 10
    assert any("annotation 1" in note.item for note in notes)


def test_xml_bombs_are_refused(tmp_path):
    source = ALL["cvat"](tmp_path)
    file = tmp_path / "annotations.xml"
    bomb = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]><annotations>&c;</annotations>'
    file.write_text(bomb)
    with pytest.raises(DataError, match="declares XML entities"):
        load(source)


@pytest.mark.parametrize(
    ("name", "file", "deep"),
    [
        ("labelme", "json/é b.json", '{"shapes": ' + "[" * 10**5 + "]" * 10**5 + "}"),
        ("via", "via.json", '{"a": ' * 10**5 + "1" + "}" * 10**5),
        ("labelstudio", "export.json", "[" * 10**5 + "]" * 10**5),
        ("cvat", "annotations.xml", "<annotations>" * 10**5 + "</annotations>" * 10**5),
        ("voc", "Annotations/é b.xml", "<object>" * 10**5 + "</object>" * 10**5),
        ("yolo", "data.yaml", "names: " + "[" * 10**4 + "]" * 10**4),
    ],
)
def test_deep_nesting_is_an_error(name, file, deep, tmp_path):
    source = ALL[name](tmp_path)
    (tmp_path / file).write_text(deep, encoding="utf-8")
    try:
        converted = load(source, format=name)
    except CvtkError as error:
        assert Path(file).name in str(error)
    else:
        assert not converted.dataset.annotations


@pytest.mark.parametrize("key", ["names", "train"])
def test_yaml_bombs_do_not_go_off(key, tmp_path):
    source = ALL["yolo"](tmp_path)
    lines = [
        "a0: &a0 [x, x]",
        *(f"a{k}: &a{k} [*a{k - 1}, *a{k - 1}]" for k in range(1, 60)),
    ]
    text = f"{key}: *a59" if key == "names" else "names: [box, leaf]\ntrain: [*a59]"
    (tmp_path / "data.yaml").write_text("\n".join([*lines, text]))
    with pytest.raises(DataError, match=r"data.yaml: .*(is no text|not a folder)"):
        load(source)
