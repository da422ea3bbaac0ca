"""Tables of small pictures whose numbers can be counted by hand."""

from __future__ import annotations

import csv
import json
import logging
import math
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import cvtk
from cvtk.data import read
from cvtk.errors import DataError, FileError, OptionError
from cvtk.io import encode_mask
from cvtk.measure.rows import (
    OBJECT_COLUMNS,
    OBJECT_MM_COLUMNS,
    SUMMARY_COLUMNS,
    SUMMARY_MM_COLUMNS,
)
from cvtk.results import Result

H, W = 40, 60
# class, x, y, width, height, colour
BLOCKS = [
    ("leaf", 10, 10, 12, 5, (200, 10, 30)),
    ("leaf", 40, 10, 6, 5, (0, 100, 50)),
    ("ruler", 10, 30, 24, 7, (255, 255, 255)),
]
CLASSES = ("leaf", "ruler", "stem")


def mask(x, y, width, height):
    found = np.zeros((H, W), bool)
    found[y : y + height, x : x + width] = True
    return found


@pytest.fixture
def photo(tmp_path):
    pixels = np.zeros((H, W, 3), np.uint8)
    for _, x, y, width, height, colour in BLOCKS:
        pixels[y : y + height, x : x + width] = colour
    path = tmp_path / "photo.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def result(photo):
    return Result(
        photo,
        H,
        W,
        CLASSES,
        (1, 2, 3),
        [CLASSES.index(block[0]) for block in BLOCKS],
        [0.9, 0.4, 0.8],
        [block[1:5] for block in BLOCKS],
        [encode_mask(mask(*block[1:5])) for block in BLOCKS],
    )


@pytest.fixture
def coco(photo):
    """The same, annotated: the leaves as polygons and the ruler as RLE."""
    annotations = []
    for number, (name, x, y, width, height, _) in enumerate(BLOCKS, 5):
        corners = [[x, y, x + width, y, x + width, y + height, x, y + height]]
        annotations.append(
            {
                "id": number,
                "image_id": 1,
                "category_id": CLASSES.index(name) + 1,
                "bbox": [x, y, width, height],
                "iscrowd": 0,
                "segmentation": encode_mask(mask(x, y, width, height))
                if name == "ruler"
                else corners,
            }
        )
    return {
        "images": [{"id": 1, "file_name": "photo.png", "width": W, "height": H}],
        "annotations": annotations,
        "categories": [{"id": i, "name": n} for i, n in enumerate(CLASSES, 1)],
    }


def write(folder, document):
    file = folder / "all.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    return file


def test_an_object_line_by_line(result):
    table = cvtk.measure_objects(result).objects
    assert tuple(table.columns) == OBJECT_COLUMNS
    first = table.iloc[0]
    assert first[["image", "object", "class", "score"]].tolist() == [
        "photo.png",
        1,
        "leaf",
        0.9,
    ]
    assert first.area_px == 60
    assert first.perimeter_px == pytest.approx(34)
    assert first.length_px == pytest.approx(13)
    assert first.width_px == pytest.approx(5)
    assert first.ellipse_length_px == pytest.approx(12 * 4 / np.sqrt(12))
    assert first.ellipse_width_px == pytest.approx(5 * 4 / np.sqrt(12))
    assert first.orientation_deg == 0
    assert first.solidity == 1
    assert (first.centroid_x_px, first.centroid_y_px) == (16, 12.5)
    assert first.loc["bbox_x_px":"bbox_height_px"].tolist() == [10, 10, 12, 5]
    assert first.loc["mean_red":"mean_blue"].tolist() == [200, 10, 30]
    assert not first.touches_border
    # To the ruler (22, 33.5) it is nearer than to the other leaf (43, 12.5).
    assert first.nearest_px == pytest.approx(np.hypot(6, 21))


def test_a_summary_counts_classes_that_are_not_there_too(result):
    table = cvtk.measure_objects(result).summary
    assert tuple(table.columns) == SUMMARY_COLUMNS
    leaf, ruler, stem = (table.iloc[i] for i in range(3))
    lengths = [13, np.hypot(6, 5)]
    assert leaf[["image", "class", "count", "area_px"]].tolist() == [
        "photo.png",
        "leaf",
        2,
        90,
    ]
    assert leaf.coverage == pytest.approx(90 / (H * W))
    assert leaf.area_px_mean == 45
    assert leaf.area_px_sd == pytest.approx(np.std([60, 30], ddof=1))
    assert leaf.length_px_mean == pytest.approx(np.mean(lengths))
    assert leaf.length_px_sd == pytest.approx(np.std(lengths, ddof=1))
    assert ruler["count"] == 1 and math.isnan(ruler.area_px_sd)
    assert stem["count"] == 0 and stem.area_px == 0 and stem.coverage == 0
    assert math.isnan(stem.area_px_mean)


def test_overlap_covers_the_image_once(result):
    twice = result[[0, 0]]
    summary = cvtk.measure_objects(twice).summary
    assert summary["count"][0] == 2
    assert summary["area_px"][0] == 120
    assert summary["coverage"][0] == pytest.approx(60 / (H * W))


def test_annotations_are_measured_like_results(result, coco, photo):
    file = write(photo.parent, coco)
    for source in (file, str(file), read(file)):
        table = cvtk.measure_objects(source).objects
        assert table["object"].tolist() == [5, 6, 7]
        assert table["score"].isna().all()
        expected = cvtk.measure_objects(result).objects
        columns = [c for c in OBJECT_COLUMNS if c not in ("object", "score")]
        pd.testing.assert_frame_equal(table[columns], expected[columns])


def test_several_results_count_on(result):
    found = cvtk.measure_objects(iter([result, result[:1]]))
    assert found.objects["object"].tolist() == [1, 2, 3, 4]
    assert found.summary["count"].tolist() == [2, 1, 0, 1, 0, 0]


def test_millimetres_of_one_scale(result):
    found = cvtk.measure_objects(result, mm_per_pixel=0.5)
    assert tuple(found.objects.columns) == (*OBJECT_COLUMNS, *OBJECT_MM_COLUMNS)
    assert tuple(found.summary.columns) == (*SUMMARY_COLUMNS, *SUMMARY_MM_COLUMNS)
    first = found.objects.iloc[0]
    assert first.area_mm2 == 15
    assert first.length_mm == pytest.approx(6.5)
    assert first.bbox_width_mm == 6
    assert first.nearest_mm == pytest.approx(first.nearest_px / 2)
    assert found.summary.area_mm2[0] == 22.5
    assert found.summary.length_mm_mean[0] == found.summary.length_px_mean[0] / 2
    assert not found.objects[[*OBJECT_MM_COLUMNS[2:]]].isna().any(axis=None)


def test_millimetres_by_the_ruler_in_the_picture(result):
    """24 x 7 pixels: 25 from corner to corner, for 100 mm."""
    found = cvtk.measure_objects(result, scale_class="ruler", scale_length=100)
    assert found.objects.mm_per_pixel.tolist() == pytest.approx([4, 4, 4])
    assert found.objects.length_mm[2] == pytest.approx(100)
    assert found.objects.scale_uncertainty.isna().all()
    assert found.objects.length_mm_uncertainty.isna().all()


def test_the_uncertainty_of_the_scale_is_carried_on(result):
    """Leaves of 13 and sqrt(61) pixels for 10 mm each; the ruler of 25 pixels and 168 square pixels is measured."""
    found = cvtk.measure_objects(result, scale_class="leaf", scale_length=10)
    scales = np.array([10 / 13, 10 / np.hypot(6, 5)])
    mean, share = scales.mean(), scales.std(ddof=1) / scales.mean()
    ruler = found.objects.iloc[2]
    assert ruler.length_mm_uncertainty == pytest.approx(25 * mean * share)
    assert ruler.area_mm2_uncertainty == pytest.approx(2 * 168 * mean**2 * share)
    assert ruler.width_mm_uncertainty == pytest.approx(7 * mean * share)
    summary = found.summary.iloc[1]
    assert summary.area_mm2_uncertainty == pytest.approx(ruler.area_mm2_uncertainty)
    assert summary.length_mm_mean_uncertainty == ruler.length_mm_uncertainty
    # By hand for the area: that of a scale one standard deviation larger is so much more, to first order.
    larger = 168 * (mean * (1 + share * 1e-6)) ** 2 - 168 * mean**2
    assert ruler.area_mm2_uncertainty == pytest.approx(larger * 1e6, rel=1e-3)


def test_an_image_without_a_scale_keeps_its_pixels(result, caplog):
    other = result[:2]
    with caplog.at_level(logging.WARNING, "cvtk"):
        found = cvtk.measure_objects(
            [result, other], scale_class="ruler", scale_length=100
        )
    assert "empty: 1 (photo.png)" in caplog.text
    assert found.objects.area_px.notna().all()
    assert found.objects.area_mm2.isna().tolist() == [False] * 3 + [True] * 2


def test_no_scale_at_all_is_a_mistake(result, tmp_path):
    file = tmp_path / "scales.csv"
    file.write_text("image,mm_per_pixel\nother.png,1\n")
    with pytest.raises(DataError, match=r"No image has a scale \(photo.png\)"):
        cvtk.measure_objects(result, mm_per_pixel=file)


def test_a_misspelt_scale_class(result):
    with pytest.raises(OptionError, match="Did you mean 'ruler'"):
        cvtk.measure_objects(result, scale_class="rular", scale_length=100)


def test_of_boxes_only_what_a_box_gives(result):
    boxes = Result(
        "gone.png",  # not looked at: a box has no colour
        H,
        W,
        CLASSES,
        (1, 2, 3),
        result.labels,
        result.scores,
        result.bboxes,
    )
    found = cvtk.measure_objects(boxes, mm_per_pixel=0.5)
    first = found.objects.iloc[0]
    known = first[first.notna()].index.tolist()
    assert known == [
        "image",
        "object",
        "class",
        "score",
        "centroid_x_px",
        "centroid_y_px",
        "bbox_x_px",
        "bbox_y_px",
        "bbox_width_px",
        "bbox_height_px",
        "touches_border",
        "nearest_px",
        "mm_per_pixel",
        "bbox_width_mm",
        "bbox_height_mm",
        "nearest_mm",
    ]
    assert first.centroid_x_px == 16
    assert found.summary["count"].tolist() == [2, 1, 0]
    assert found.summary.area_px.isna().tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("box", "touches"),
    [
        ((0, 20, 5, 5), True),
        ((2, 20, 5, 5), True),
        ((3, 20, 5, 5), False),
        ((20, 35, 5, 5), True),
        ((52, 20, 5, 5), False),
        ((53, 20, 5, 5), True),
    ],
)
def test_the_border(photo, box, touches):
    rle = [encode_mask(mask(*box))]
    single = Result(photo, H, W, ("leaf",), (1,), [0], [1.0], [box], rle)
    table = cvtk.measure_objects(single).objects
    assert table.touches_border.tolist() == [touches]
    assert table.nearest_px.isna().all()


def test_an_empty_mask_has_no_shape(photo):
    rle = [encode_mask(np.zeros((H, W), bool))]
    single = Result(photo, H, W, ("leaf",), (1,), [0], [1.0], [[1, 1, 4, 4]], rle)
    found = cvtk.measure_objects(single)
    assert found.objects.area_px.tolist() == [0]
    assert found.objects.length_px.isna().all()
    assert found.summary.coverage.tolist() == [0]


def test_no_objects_at_all(photo):
    found = cvtk.measure_objects(Result.empty(photo, H, W, CLASSES, (1, 2, 3)))
    assert len(found.objects) == 0
    assert tuple(found.objects.columns) == OBJECT_COLUMNS
    assert found.summary["count"].tolist() == [0, 0, 0]


def test_crowds_are_left_out(coco, photo, caplog):
    coco["annotations"][0]["iscrowd"] = 1
    with caplog.at_level(logging.INFO, "cvtk"):
        found = cvtk.measure_objects(write(photo.parent, coco))
    assert "Crowds, which are not measured: 1" in caplog.text
    assert found.objects["object"].tolist() == [6, 7]


def test_predictions_have_no_colours_until_the_images_are_named(coco, photo, caplog):
    """Beside them lie drawings of the same names."""
    for annotation, score in zip(coco["annotations"], (0.9, 0.4, 0.8), strict=True):
        annotation["score"] = score
    folder = photo.parent / "found"
    folder.mkdir()
    file = write(folder, coco)
    with caplog.at_level(logging.INFO, "cvtk"):
        table = cvtk.measure_objects(file, score=0.5).objects
    assert "--images" in caplog.text
    assert table.mean_red.isna().all()
    assert table.score.tolist() == [0.9, 0.8]
    table = cvtk.measure_objects(file, images=photo.parent).objects
    assert table.mean_red.tolist() == [200, 0, 255]


def test_a_missing_image(coco, photo):
    file = write(photo.parent, coco)
    photo.unlink()
    with pytest.raises(FileError, match=r"photo\.png: the image is missing\. .*--no-"):
        cvtk.measure_objects(file)
    assert cvtk.measure_objects(file, colours=False).objects.mean_red.isna().all()


def test_an_image_of_another_size(coco, photo):
    Image.new("RGB", (W, H + 1)).save(photo)
    with pytest.raises(DataError, match=r"60 x 41 pixels, but .* 60 x 40"):
        cvtk.measure_objects(write(photo.parent, coco))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("segmentation", [[1, 2, 3]], r"annotation 5 of image 1 \(photo.png\): A poly"),
        ("category_id", 9, "annotation 5 is of category 9"),
        ("image_id", "x", "annotation 5 is of image 'x'"),
    ],
)
def test_annotations_that_cannot_be_used(coco, photo, key, value, message):
    coco["annotations"][0][key] = value
    with pytest.raises(DataError, match=message):
        cvtk.measure_objects(write(photo.parent, coco))


NAMES = ("=1+1", "+a", "-b", "@c", 'leaf, "old"', "\tt", "é ü 葉")


def test_the_tables_are_harmless_in_spreadsheets(photo, tmp_path):
    count = len(NAMES)
    rle = encode_mask(mask(5, 5, 9, 9))
    found = cvtk.measure_objects(
        Result(
            photo,
            H,
            W,
            NAMES,
            range(count),
            range(count),
            [0.5] * count,
            [[5, 5, 9, 9]] * count,
            [rle] * count,
            name="=photo.png",
        )
    )
    objects, summary = found.save(tmp_path / "out")
    expected = [
        f"'{name}" if name.startswith(("=", "+", "-", "@", "\t")) else name
        for name in NAMES
    ]
    for file in (objects, summary):
        with file.open(encoding="utf-8", newline="") as text:
            rows = list(csv.DictReader(text))
        assert [row["class"] for row in rows] == expected
        assert {row["image"] for row in rows} == {"'=photo.png"}
    assert found.objects["class"].tolist() == list(NAMES)  # in Python as they are


def test_the_file_holds_the_numbers_of_the_table(result, tmp_path):
    found = cvtk.measure_objects(result)
    objects, _ = found.save(tmp_path)
    text = objects.read_text(encoding="utf-8")
    assert text.startswith("image,object,class,score,area_px,")
    assert ",FALSE," in text
    back = pd.read_csv(objects)
    pd.testing.assert_frame_equal(back, found.objects, check_dtype=False, rtol=1e-6)


def test_decimals_with_a_comma(result, tmp_path):
    found = cvtk.measure_objects(result, mm_per_pixel=0.3)
    objects, summary = found.save(tmp_path, decimal_comma=True)
    assert objects.read_text(encoding="utf-8").startswith("image;object;class;score;")
    for file, table in ((objects, found.objects), (summary, found.summary)):
        back = pd.read_csv(file, sep=";", decimal=",")
        pd.testing.assert_frame_equal(back, table, check_dtype=False, rtol=1e-6)


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="needs R")
def test_r_reads_the_columns_as_what_they_are(result, tmp_path):
    objects, _ = cvtk.measure_objects(result, mm_per_pixel=0.5).save(tmp_path)
    code = (
        f"t <- read.csv('{objects}', fileEncoding = 'UTF-8');"
        "cat(class(t$class), class(t$touches_border), class(t$length_mm), sum(t$area_px))"
    )
    run = subprocess.run(
        ["Rscript", "-e", code], capture_output=True, text=True, check=True
    )
    assert run.stdout == "character logical numeric 258"


def test_tables_are_not_replaced_unasked(result, tmp_path):
    found = cvtk.measure_objects(result)
    (tmp_path / "summary.csv").write_text("mine")
    with pytest.raises(FileError, match="exists already"):
        found.save(tmp_path)
    assert not (tmp_path / "objects.csv").exists()
    found.save(tmp_path, force=True)
    assert (tmp_path / "objects.csv").exists()


def test_a_large_table_is_the_same_in_parts(result, monkeypatch):
    """A table that packs after every image, beside one that packs once."""
    from cvtk.measure import measure

    results = [result, result[:1], result[:0], result[[2]]]
    once = cvtk.measure_objects(results, mm_per_pixel=2)
    monkeypatch.setattr(measure._Table.__init__, "__defaults__", (1,))
    often = cvtk.measure_objects(results, mm_per_pixel=2)
    pd.testing.assert_frame_equal(often.objects, once.objects)
    pd.testing.assert_frame_equal(often.summary, once.summary)
