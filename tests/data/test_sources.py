"""Which images a user means: one, a folder, a list, a COCO file, paths; and one line for what is none."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvtk.data.sources import ImageSource, list_images
from cvtk.errors import CvtkError, DataError, FileError


@pytest.fixture
def photos(tmp_path):
    """Two folders with images of one name, and a file that is none."""
    for name in ("a b/1.jpg", "a b/é.PNG", "c/1.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 6)).save(tmp_path / name)
    (tmp_path / "c" / "notes.md").write_text("no image")
    return tmp_path


def test_an_image_is_itself(photos):
    file = photos / "c/1.jpg"
    assert list_images(file) == [ImageSource(file, "1.jpg", 1)]


def test_a_folder_is_searched_to_its_depth(photos):
    names = ["a b/1.jpg", "a b/é.PNG", "c/1.jpg"]
    expected = [ImageSource(photos / n, n, k) for k, n in enumerate(names, 1)]
    assert list_images(str(photos)) == expected


def test_a_text_file_names_paths_relative_to_it(photos):
    file = photos / "list.txt"
    file.write_text("\ufeffa b/é.PNG\n\n c/1.jpg \n", "utf-8")
    found = [source.path for source in list_images(file)]
    assert found == [photos / "a b/é.PNG", photos / "c/1.jpg"]


def test_a_coco_file_keeps_its_ids_and_needs_no_annotations(photos):
    images = [{"id": 9, "file_name": "c/1.jpg"}, {"id": 4, "file_name": "a b/1.jpg"}]
    file = photos / "coco.json"
    file.write_text(json.dumps({"images": images}))
    assert list_images(file) == [
        ImageSource(photos / "c/1.jpg", "1.jpg", 9, listed_in=file),
        ImageSource(photos / "a b/1.jpg", "1_2.jpg", 4, listed_in=file),
    ]


def test_an_image_named_twice_counts_once_and_equal_names_become_different_ones(photos):
    paths = [photos / "a b/1.jpg", photos / "c/1.jpg", photos / "a b/1.jpg"]
    assert [s.name for s in list_images(paths)] == ["1.jpg", "1_2.jpg"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("none.jpg", "none.jpg: no such file"),
        ("none.json", "none.json: no such file"),
        ("x" * 300, "xxx: no such file"),
        ("a\0b", "no such file"),
        ("empty", "There are no images in .*empty"),
        ("list.txt", "no image .*none.jpg .*named in .*list.txt"),
        ("blank.txt", "blank.txt names no images"),
        ("binary.txt", "binary.txt is not"),
        ("pipe.png", "pipe.png is a folder, a pipe or a device"),
        ("text.json", "text.json is not JSON"),
        ("other.json", "other.json is not a COCO data set: it has no 'images'"),
        ("out.json", "leads out of the data folder"),
        ("none of it.json", "no images"),
    ],
)
def test_what_cannot_be_used_ends_in_a_line(data, said, photos):
    (photos / "empty").mkdir()
    (photos / "list.txt").write_text("none.jpg\n")
    (photos / "blank.txt").write_text("\n \n")
    (photos / "binary.txt").write_bytes(bytes(range(256)))
    os.mkfifo(photos / "pipe.png")
    (photos / "text.json").write_text("<html></html>")
    (photos / "other.json").write_text('{"shapes": []}')
    images = [{"id": 1, "file_name": "../1.jpg"}]
    (photos / "out.json").write_text(json.dumps({"images": images}))
    (photos / "none of it.json").write_text('{"images": []}')
    with pytest.raises(CvtkError, match=said) as error:
        list_images(photos / data)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["x.json", "x.txt"])
def test_a_folder_may_have_any_name(name, photos):
    (photos / "c").rename(photos / name)
    assert [s.name for s in list_images(photos / name)] == ["1.jpg"]


def test_what_is_no_path_and_no_image_is_refused():
    for data in (0.5, [0.5], b"a.jpg"):
        with pytest.raises(DataError, match=r"not as (float|bytes)"):
            list_images(data)
    with pytest.raises(DataError, match=r"is not an image: its shape is \(4, 4, 7\)"):
        list_images(np.zeros((4, 4, 7), np.uint8))
    with pytest.raises(FileError, match="names no images"):
        list_images([])


def test_arrays_and_pillow_images_are_images(photos):
    red = np.zeros((6, 8, 3), np.uint8)
    red[..., 0] = 200
    grey = np.full((6, 8), 90, np.uint8)
    file = photos / "c/1.jpg"
    found = list_images([red, file, Image.fromarray(red), grey])
    assert [s.name for s in found] == [
        "image_0001.png",
        "1.jpg",
        "image_0002.png",
        "image_0003.png",
    ]
    assert [s.id for s in found] == [1, 2, 3, 4]
    np.testing.assert_array_equal(found[0].pixels, red)
    assert found[1].pixels is None and found[1].path == file
    np.testing.assert_array_equal(found[2].pixels, red)
    np.testing.assert_array_equal(found[3].pixels, np.stack([grey] * 3, axis=2))
    assert [s.name for s in list_images(red)] == ["image_0001.png"]


def test_a_pillow_image_is_turned_as_it_is_seen():
    image = Image.new("RGB", (8, 6))
    image.getexif()[0x0112] = 6
    assert list_images(image)[0].pixels.shape == (8, 6, 3)


def test_a_pattern_names_images_below_the_folder_where_it_begins(photos):
    (photos / "a b/2.jpg").write_bytes((photos / "a b/1.jpg").read_bytes())
    found = list_images(f"{photos}/*/1.*")
    assert [s.name for s in found] == ["a b/1.jpg", "c/1.jpg"]
    assert [s.path for s in found] == [photos / s.name for s in found]
    assert [s.name for s in list_images(photos / "a b" / "*.jpg")] == ["1.jpg", "2.jpg"]
    names = ["a b/1.jpg", "a b/2.jpg", "a b/é.PNG", "c/1.jpg"]
    assert [s.name for s in list_images(photos / "**" / "*")] == names
    with pytest.raises(FileError, match=r"No image is named like .*\*\.gif"):
        list_images(photos / "*.gif")


def test_a_file_with_brackets_in_its_name_is_no_pattern(photos):
    file = photos / "[1].jpg"
    Image.new("RGB", (8, 6)).save(file)
    assert [s.path for s in list_images(file)] == [file]


def test_a_list_on_stdin_is_relative_to_the_current_folder(photos, monkeypatch):
    monkeypatch.chdir(photos)
    monkeypatch.setattr("sys.stdin", io.StringIO("c/1.jpg\n\na b/1.jpg\n"))
    assert [s.path for s in list_images("-")] == [Path("c/1.jpg"), Path("a b/1.jpg")]
    monkeypatch.setattr("sys.stdin", io.StringIO("none.jpg\n"))
    with pytest.raises(FileError, match=r"no image none\.jpg \(named in .* stdin"):
        list_images("-")


def test_any_listing_of_paths_will_do(photos):
    found = list_images(sorted(photos.rglob("*.jpg")))
    assert list_images(path for path in sorted(photos.rglob("*.jpg"))) == found
    assert [source.name for source in found] == ["1.jpg", "1_2.jpg"]
