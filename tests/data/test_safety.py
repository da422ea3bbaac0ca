"""Nothing outside a data set's folder is read into it, written or overwritten, whatever the JSON says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from examples import ALL, H, W, coco, coco_dict, photo

from cvtk.data import read
from cvtk.data.checks import check, require_images, require_trainable
from cvtk.data.checks.repair import repair_file
from cvtk.data.convert import convert, load
from cvtk.data.crop import crop
from cvtk.data.edit import combine_files, remove_from_file
from cvtk.data.labels import read_labels
from cvtk.data.show import show
from cvtk.data.sources import list_images
from cvtk.data.split import split_file
from cvtk.errors import CvtkError, DataError, FileError

OUTSIDE = ["../precious/notes.png", "a/../../precious/notes.png", "..\\precious\\notes.png"]  # fmt: skip


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """A set in `data`, the working directory, whose JSON names an image of the folder beside."""

    def make(name):
        photo(tmp_path / "precious" / "notes.png")
        (tmp_path / "precious" / "notes.json").write_text("years of work")
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "a").mkdir()
        image = {"id": 1, "file_name": name, "width": W, "height": H}
        file = tmp_path / "data" / "all.json"
        file.write_text(json.dumps(coco_dict(images=[image])))
        coco(tmp_path / "good")
        monkeypatch.chdir(tmp_path / "data")
        return tmp_path

    return make


def content(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("name", [*OUTSIDE, "{here}/precious/notes.png"])
@pytest.mark.parametrize(
    "action",
    [
        lambda out: convert("all.json", out, target_format="labelme"),
        lambda out: convert("all.json", out, target_format="yolo"),
        lambda out: convert("all.json", out, target_format="voc"),
        lambda out: convert("all.json", out / "x.json"),
        lambda out: combine_files([Path("all.json"), Path("../good/all.json")], out / "x.json"),
        lambda out: combine_files([Path("all.json"), Path("../good/all.json")], Path("x.json")),
        lambda out: remove_from_file(Path("all.json"), Path("x.json"), annotations=["1"]),
        lambda out: remove_from_file(Path("all.json"), out / "x.json", annotations=["1"]),
        lambda out: split_file("all.json", ratios="1:1", look=False),
        lambda out: split_file("all.json", out, ratios="1:1"),
        lambda out: require_trainable(read("all.json"), ["leaf"], "segm", train=True),
        lambda out: require_images(read("all.json")),
        lambda out: list_images("all.json"),
    ],
)  # fmt: skip
def test_names_that_lead_out_are_refused_by_every_command(action, name, trap):
    folder = trap(name)
    if "{here}" in name:
        file = folder / "data" / "all.json"
        file.write_text(file.read_text().replace("{here}", str(folder)))
    before = content(folder)
    with pytest.raises(DataError, match=r"leads out of the data folder|cannot make 2"):
        action(folder / "out")
    assert content(folder) == before


@pytest.mark.parametrize("name", OUTSIDE)
def test_check_names_them_and_fix_drops_them(name, trap):
    folder = trap(name)
    report = check(["all.json"])
    assert [p.kind for p in report.problems.items if p.kind == "file name"]
    assert not report.passed
    before = content(folder / "precious")
    fixed, notes = repair_file(Path("all.json"), folder / "out" / "fixed.json")
    assert fixed.images == [] and "leads out" in str(notes[0])
    assert content(folder / "precious") == before
    assert not (folder / "out" / "images").exists()


@pytest.mark.parametrize("source", ["../photos", "photos"])
def test_images_outside_the_target_are_copied_into_it(source, tmp_path, monkeypatch):
    """`convert ../photos all.json`, and the same through a link."""
    elsewhere = tmp_path / "photos"
    photo(elsewhere / "images" / "a.png")
    (elsewhere / "labels").mkdir()
    (elsewhere / "labels" / "a.txt").write_text("0 0.5 0.5 0.4 0.4\n")
    (elsewhere / "classes.txt").write_text("leaf\n")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    if source == "photos":
        Path("photos").symlink_to(elsewhere)
    done = convert(source, "all.json")
    (image,) = read("all.json").images
    assert done.copied == 1
    assert ".." not in image.file_name
    assert not Path(image.file_name).is_symlink()
    assert Path(image.file_name).resolve().is_relative_to(tmp_path / "work")


def test_a_link_or_device_is_never_replaced(tmp_path):
    file = coco(tmp_path)
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "link.json").symlink_to(tmp_path / "mine.txt")
    with pytest.raises(FileError, match="link or a device"):
        convert(file, tmp_path / "link.json", force=True)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_pipe_in_place_of_a_file_ends_in_a_line(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    for action in (read, read_labels, lambda f: convert(f, tmp_path / "x.json")):
        with pytest.raises(CvtkError, match="pipe or a device"):
            action(tmp_path / "pipe.json")


@pytest.mark.parametrize("form", ["voc", "masks"])
def test_a_pipe_in_place_of_a_mask_ends_in_a_line(form, tmp_path):
    source = ALL[form](tmp_path)
    folder = tmp_path / ("SegmentationObject" if form == "voc" else "masks/leaf")
    (folder / "é b.png").unlink()
    os.mkfifo(folder / "é b.png")
    if form == "voc":
        with pytest.raises(FileError, match="pipe or a device"):
            load(source)
    else:  # what is no file is not looked at
        assert load(source).dataset.annotations == []


def test_a_pipe_in_place_of_an_image_never_hangs(tmp_path):
    file = coco(tmp_path)
    (tmp_path / "photos" / "é b.png").unlink()
    os.mkfifo(tmp_path / "photos" / "é b.png")
    assert [p.kind for p in check([file]).problems.items if p.severity == "error"] == [
        "unreadable"
    ]
    dataset = read(file)
    for action in (
        lambda: require_images(dataset),
        lambda: show(dataset, tmp_path / "sheet.png"),
        lambda: crop(dataset, tmp_path / "crops"),
        lambda: split_file(file, tmp_path / "sets", ratios="1:1"),
    ):
        with pytest.raises(CvtkError, match=r"pipe or a device|unreadable"):
            action()


def test_an_image_that_no_network_can_use_is_refused(tmp_path):
    content = coco_dict(
        images=[{"id": 1, "file_name": "a.png", "width": 50_000, "height": 1}]
    )
    photo(tmp_path / "a.png", size=(50_000, 1))
    (tmp_path / "all.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="50000 x 1 pixels"):
        require_images(read(tmp_path / "all.json"))
    assert not check([tmp_path / "all.json"]).passed


# Below this many bytes a file may grow: the disk is "full" above.
FULL = """
import resource, signal, sys
from cvtk.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))
main(sys.argv[1:])
"""


@pytest.mark.parametrize(
    "command",
    [
        "convert photos.json {out}/all.json",
        "convert photos.json {out}/yolo --to yolo",
        "convert photos.json {out}/labelme --to labelme",
        "convert photos.json {out}/voc --to voc",
        "split photos.json --ratios 1:1 --no-images --output {out}",
        "check photos.json --output {out}",
        "show photos.json {out}/sheet.png",
        "crop photos.json {out}/crops",
        "remove photos.json {out}/less.json --annotation 2",
    ],
)
def test_a_full_disk_ends_in_a_line_and_leaves_no_half_file(command, tmp_path):
    for k in (1, 2):
        photo(tmp_path / f"a{k}.png", k, (200, 150))
    images = [
        {"id": k, "file_name": f"a{k}.png", "width": 200, "height": 150} for k in (1, 2)
    ]
    base = coco_dict()["annotations"][0]
    large = [v for k in range(200) for v in (k, k % 7 * 20)]
    annotations = [
        {**base, "id": k, "image_id": k, "segmentation": [large], "bbox": [0, 0, 199, 120], "area": 9000}
        for k in (1, 2)
    ]  # fmt: skip
    (tmp_path / "photos.json").write_text(
        json.dumps(coco_dict(images=images, annotations=annotations))
    )
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-c", FULL, "data", *command.format(out=out).split()],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
    )
    assert done.returncode == 1, done.stdout
    assert "cannot be written" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    left = [p for p in out.rglob("*") if p.is_file()] if out.exists() else []
    assert all(p.stat().st_size < 600 for p in left)
    assert not [p for p in tmp_path.rglob(".*") if p.is_file()]
