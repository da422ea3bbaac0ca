"""Splits are balanced, repeatable, and never part what belongs together."""

from __future__ import annotations

import json
import re
from collections import Counter

import numpy as np
import pytest
from examples import H, W, coco_dict, photo
from PIL import Image
from pycocotools.coco import COCO

from cvtk.data import Annotation, Category, Dataset, read
from cvtk.data import Image as Entry
from cvtk.data.crop import crop
from cvtk.data.edit import combine, combine_files, remove
from cvtk.data.grouping import group_keys
from cvtk.data.show import show
from cvtk.data.split import balance, parse_ratios, split, split_file
from cvtk.data.stats import stats
from cvtk.errors import DataError, FileError


def made_up(images=400, seed=0):
    """A class in most images, one in a third, and one in a few."""
    rng = np.random.default_rng(seed)
    entries = [Entry(k, f"plant{k // 4}_{k}.jpg", W, H) for k in range(images)]
    annotations = []
    for k in range(images):
        for category, share in ((1, 2.0), (2, 0.4), (3, 0.05)):
            for _ in range(rng.poisson(share)):
                annotations.append(
                    Annotation(len(annotations), k, category, [1.0, 1, 5, 5], 25.0, 0)
                )
    return Dataset(entries, annotations, [Category(c, f"c{c}") for c in (1, 2, 3)])


def test_classes_are_balanced_and_no_image_is_lost():
    dataset = made_up()
    parts = split(dataset, parse_ratios("8:1:1"), look=False).parts
    names = [i.file_name for p in parts.values() for i in p.images]
    assert sorted(names) == sorted(i.file_name for i in dataset.images)
    total = dataset.counts()
    for name, share in (("train", 0.8), ("valid", 0.1), ("test", 0.1)):
        assert len(parts[name].images) == pytest.approx(share * 400, abs=12)
        for c, n in parts[name].counts().items():
            assert n == pytest.approx(share * total[c], abs=0.02 * total[c] + 2)
        assert all(
            a.image_id in {i.id for i in parts[name].images}
            for a in parts[name].annotations
        )


def test_a_seed_gives_the_same_split_and_another_gives_another():
    def names(seed):
        return [
            i.file_name
            for i in split(made_up(), seed=seed, look=False).parts["test"].images
        ]

    assert names(1) == names(1) != names(2)


def test_groups_stay_together():
    dataset = made_up()
    keys = group_keys(dataset.images, r"plant(\d+)")
    done = split(dataset, keys=keys, look=False)
    where = {}
    for name, part in done.parts.items():
        for image in part.images:
            assert where.setdefault(image.file_name.split("_")[0], name) == name
    assert done.groups == 100
    assert all(part.images for part in done.parts.values())


def test_folds_hold_out_each_image_once():
    dataset = made_up(50)
    parts = split(dataset, folds=5, look=False).parts
    held = [i.id for k in range(1, 6) for i in parts[f"fold{k}.valid"].images]
    assert sorted(held) == list(range(50))
    for k in range(1, 6):
        train = {i.id for i in parts[f"fold{k}.train"].images}
        assert train == set(range(50)) - {i.id for i in parts[f"fold{k}.valid"].images}


def test_groups_may_come_from_a_table(tmp_path):
    table = tmp_path / "plots.csv"
    table.write_text("file_name,plot\na.jpg,1\nb.jpg,2\n", encoding="utf-8-sig")
    images = [Entry(1, "x/a.jpg"), Entry(2, "b.jpg")]
    assert group_keys(images, "plot", table) == ["1", "2"]
    with pytest.raises(DataError, match=r"no column 'plant'.*plot"):
        group_keys(images, "plant", table)
    with pytest.raises(DataError, match=r"no plot for 'c.jpg'"):
        group_keys([Entry(3, "c.jpg")], "plot", table)
    with pytest.raises(DataError, match=r"does not match the image 'b.jpg'"):
        group_keys(images, "a")
    with pytest.raises(DataError, match="not a regular expression"):
        group_keys(images, "(")


@pytest.mark.parametrize("text", ["8", "8:0:2", "a:b", "1:1:1:1", "nan:1"])
def test_ratios_that_make_no_sense(text):
    with pytest.raises(DataError, match="are not two or three numbers"):
        parse_ratios(text)


def small(folder, count=10):
    """Images of which 0 and 1 are nearly the same, and 2 and 3 the same."""
    folder.mkdir(parents=True, exist_ok=True)
    images = []
    for k in range(count):
        photo(folder / "images" / f"i{k}.png", k)
        images.append(
            {
                "id": k,
                "file_name": f"images/i{k}.png",
                "width": W,
                "height": H,
                "mine": k,
            }
        )
    with Image.open(folder / "images" / "i0.png") as image:
        image.point(lambda v: min(v + 2, 255)).save(folder / "images" / "i1.png")
    if count > 3:
        (folder / "images" / "i3.png").write_bytes(
            (folder / "images" / "i2.png").read_bytes()
        )
    base = coco_dict()["annotations"][0]
    annotations = [{**base, "id": k, "image_id": k, "mine": [k]} for k in range(count)]
    file = folder / "all.json"
    file.write_text(
        json.dumps(coco_dict(images=images, annotations=annotations, info={"a": 1}))
    )
    return file


@pytest.mark.parametrize("seed", range(4))
def test_near_duplicates_are_never_parted(seed, tmp_path):
    parts = split(read(small(tmp_path)), parse_ratios("1:1"), seed=seed).parts
    where = {i.id: name for name, part in parts.items() for i in part.images}
    assert where[0] == where[1]
    assert where[2] == where[3]


def test_split_files_keep_every_field_and_find_their_images(tmp_path):
    file = small(tmp_path / "in")
    _, files = split_file(file, tmp_path / "out", ratios="6:2:2")
    seen = []
    for target in files.values():
        coco = COCO(str(target))
        assert coco.dataset["info"] == {"a": 1}
        for image in coco.imgs.values():
            assert (target.parent / image["file_name"]).is_file()
            assert image["mine"] == image["id"]
        seen += [a["mine"] for a in coco.anns.values()]
    assert sorted(seen) == [[k] for k in range(10)]
    with pytest.raises(FileError, match="exists already"):
        split_file(file, tmp_path / "out")
    (tmp_path / "in" / "images" / "i9.png").unlink()
    with pytest.raises(
        FileError, match=r"1 of 10 images cannot be opened.*i9.png \(missing\)"
    ):
        split_file(file, tmp_path / "other")
    with pytest.raises(DataError, match="cannot make 3 parts"):
        split_file(file, tmp_path / "other", group_by="images", look=False)


def noted(files):
    """By part, the groups of its images."""
    return {name: [i.group for i in read(f).images] for name, f in files.items()}


def test_the_files_note_which_images_belong_together(tmp_path):
    file = small(tmp_path / "in")
    _, files = split_file(file, tmp_path / "looks", ratios="1:1")
    groups = Counter(g for part in noted(files).values() for g in part)
    assert groups == {"images/i0.png": 2, "images/i2.png": 2, "": 6}
    key = r"i(\d)"
    _, files = split_file(file, tmp_path / "names", ratios="1:1", group_by=key)
    groups = Counter(g for part in noted(files).values() for g in part)
    assert groups == {"0": 2, "2": 2, **dict.fromkeys("456789", 1)}


@pytest.mark.parametrize("field", ["group", "tile_of"])
def test_a_second_split_keeps_together_what_a_file_notes(field, tmp_path):
    file = small(tmp_path)
    content = json.loads(file.read_text())
    for image in content["images"]:
        image[field] = "ab"[image["id"] >= 6]
    file.write_text(json.dumps(content))
    parts = split(read(file), parse_ratios("6:4"), look=False).parts
    assert {i.id for i in parts["valid"].images} == {6, 7, 8, 9}
    keys = [str(k) for k in range(10)]
    parts = split(read(file), parse_ratios("5:5"), keys=keys, look=False).parts
    assert len(parts["valid"].images) == 5


@pytest.mark.parametrize("value", [None, [1], {"a": 1}, True, 1.5])
def test_a_group_is_a_text_or_a_number(value, tmp_path):
    file = small(tmp_path, 4)
    content = json.loads(file.read_text())
    content["images"][0]["group"] = value
    content["images"][1]["group"] = 7
    file.write_text(json.dumps(content))
    assert [image.group for image in read(file).images] == ["", "7", "", ""]


def test_combine_merges_classes_and_keeps_images_of_equal_name_apart(tmp_path):
    a, b = small(tmp_path / "a", 2), small(tmp_path / "b", 3)
    content = json.loads(b.read_text())
    content["categories"] = [{"id": 9, "name": "stem"}, {"id": 1, "name": "leaf"}]
    content["annotations"][0]["category_id"] = 9
    b.write_text(json.dumps(content))
    dataset, copied = combine_files([a, b], tmp_path / "c" / "both.json")
    assert copied == 5
    assert dataset.counts() == {"leaf": 4, "stem": 1}
    coco = COCO(str(tmp_path / "c" / "both.json"))
    assert sorted(coco.imgs) == sorted(coco.anns) == [1, 2, 3, 4, 5]
    names = [i["file_name"] for i in coco.imgs.values()]
    assert len(set(names)) == 5
    for image in coco.imgs.values():
        source = (
            tmp_path
            / ("a" if image["id"] <= 2 else "b")
            / f"images/i{image['mine']}.png"
        )
        assert (tmp_path / "c" / image["file_name"]).read_bytes() == source.read_bytes()
    beside, copied = combine_files([a, b], tmp_path / "both.json")
    assert copied == 0
    assert beside.images[0].file_name == "a/images/i0.png"
    with pytest.raises(DataError, match=r"i0.png' is in .*a.all.json too"):
        combine([read(a), read(a)])


def test_remove_by_name_and_id(tmp_path):
    dataset = read(small(tmp_path))
    left = remove(dataset, images=["i0.png", "5"], annotations=["7"])
    assert [i.id for i in left.images] == [1, 2, 3, 4, 6, 7, 8, 9]
    assert [a.id for a in left.annotations] == [1, 2, 3, 4, 6, 8, 9]
    assert len(remove(dataset, annotations=["7"], empty=True).images) == 9
    assert remove(dataset, classes=["leaf"]).annotations == []
    with pytest.raises(DataError, match=r"no class 'leav'. Did you mean 'leaf'"):
        remove(dataset, classes=["leav"])
    assert len(dataset.images) == 10


def test_crop_show_and_stats(tmp_path):
    dataset = read(small(tmp_path, 4))
    files = crop(dataset, tmp_path / "crops", margin=2, masked=True)
    assert [f.relative_to(tmp_path / "crops").as_posix() for f in files] == [
        f"leaf/images_i{k}_{k}.png" for k in range(4)
    ]
    with Image.open(files[0]) as image:
        assert (image.size, image.mode) == ((24, 20), "RGBA")
        alpha = np.asarray(image)[..., 3]
    assert (alpha > 0).sum() == 320
    (sheet,) = show(dataset, tmp_path / "sheet.png", count=3)
    with Image.open(sheet) as image:
        assert image.size == (800, 800)
    assert len(show(dataset, tmp_path / "shown", count=3)) == 3
    found = stats(dataset)
    assert found["classes"]["leaf"] == {
        "annotations": 4,
        "images": 4,
        "small": 4,
        "medium": 0,
        "large": 0,
        "area_median": 320.0,
    }
    assert found["masks"] == {"polygons": 4, "rle": 0, "none": 0}


def drops(sides):
    """A set of one class, from the side lengths (pixels) of the objects of each image."""
    entries = [Entry(k, f"i{k}.png", 200, 200) for k in range(len(sides))]
    annotations = []
    for k, lengths in enumerate(sides):
        for side in lengths:
            box, area = [1.0, 1, side, side], float(side**2)
            annotations.append(Annotation(len(annotations), k, 1, box, area, 0))
    return Dataset(entries, annotations, [Category(1, "drop")])


@pytest.mark.parametrize("seed", range(3))
def test_sizes_of_objects_are_balanced(seed):
    dataset = drops([[40] * 4 if k % 4 == 0 else [6] * 4 for k in range(60)])
    parts = split(dataset, parse_ratios("6:2:2"), look=False, seed=seed).parts
    for part in parts.values():
        large = np.mean([a.area == 1600 for a in part.annotations])
        assert large == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("seed", range(3))
def test_crowded_images_are_balanced(seed):
    dataset = drops([[6] * (1, 5, 9, 5)[k % 4] for k in range(60)])
    parts = split(dataset, parse_ratios("6:2:2"), look=False, seed=seed).parts
    for part in parts.values():
        crowded = np.mean([len(found) == 9 for found in part.by_image().values()])
        assert crowded == pytest.approx(0.25, abs=0.03)


def test_other_seeds_give_other_splits_all_of_them_even():
    keys = [str(g) for g in range(1, 15) for _ in range(g)]
    dataset = drops([[6] * 3] * len(keys))  # 105 images in groups of 1 to 14
    found = set()
    for seed in range(9):
        done = split(dataset, parse_ratios("8:1:1"), keys=keys, look=False, seed=seed)
        sizes = [len(part.images) for part in done.parts.values()]
        assert np.abs(np.subtract(sizes, [84, 10.5, 10.5])).max() <= 1.5
        found.add(tuple(i.file_name for i in done.parts["test"].images))
    assert len(found) >= 4


def test_no_part_is_filled_by_one_kind_of_near_duplicates():
    """Eight videos of 10 frames and 20 single photographs: two videos would fill a part of 20."""
    keys = [str(g) for g in range(8) for _ in range(10)] + [f"s{k}" for k in range(20)]
    dataset = drops([[6] * 3] * 100)
    for seed in range(5):
        done = split(dataset, parse_ratios("6:2:2"), keys=keys, look=False, seed=seed)
        for part, share in zip(done.parts.values(), (60, 20, 20), strict=True):
            assert len({keys[image.id] for image in part.images}) >= 4
            assert len(part.images) == pytest.approx(share, abs=3)


def test_what_groups_do_not_allow_is_said():
    dataset = drops([[6]] * 24)
    keys = ["one"] * 18 + [str(k) for k in range(6)]
    done = split(dataset, parse_ratios("1:1"), keys=keys, look=False)
    assert any("place of 50%" in note for note in done.notes)
    keys = [str(k // 6) for k in range(30)]
    done = split(drops([[6]] * 30), parse_ratios("3:1:1"), keys=keys, look=False)
    assert any(note.startswith("test holds 1 group of") for note in done.notes)
    assert split(drops([[6]] * 50), look=False).notes == []


def test_the_shares_of_folds_are_those_of_the_whole_set():
    text = balance(split(made_up(50), folds=5, look=False).parts)
    shares = re.findall(r"(\d+)%", text.splitlines()[-1])
    assert shares == ["80", "20"] * 5


def test_names_of_series_hint_at_group_by():
    dataset = drops([[6]] * 30)
    for k, image in enumerate(dataset.images):
        image.file_name = f"video{k // 10}image{k}.png"
    (note,) = split(dataset, look=False).notes
    assert note.startswith("10 images begin with 'video0'") and "--group-by" in note
    keys = group_keys(dataset.images, note.split("'")[3])
    assert len(set(keys)) == 3
    assert not any(
        "begin with" in n for n in split(dataset, keys=keys, look=False).notes
    )
