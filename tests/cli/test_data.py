"""`cvtk data`: the commands as a user runs them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from cvtk.cli import main
from cvtk.demo import DemoFiles

COMMANDS = ["convert", "check", "split", "combine", "remove", "crop", "tile", "stats"]
COMMANDS += ["diff", "next", "show"]


def run(*args: object, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["data", *map(str, args)], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_with_an_example(name):
    assert f"cvtk data {name}" in run(name, "--help").split("Example")[1]


def test_light_commands_load_nothing_heavy(demo: DemoFiles):
    code = (
        "import sys; from cvtk.cli import main\n"
        f"main(['data', 'stats', {str(demo.train)!r}], standalone_mode=False)\n"
        "bad = {'torch', 'mmengine', 'mmcv', 'mmdet', 'pandas', 'matplotlib', 'cv2'} & set(sys.modules)\n"
        "assert not bad, bad"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_way_from_one_file_to_three_checked_sets(demo: DemoFiles, tmp_path: Path):
    both = tmp_path / "both.json"
    said = run("combine", demo.train, demo.valid, both)
    assert "7 images" in said
    said = run("split", both, "--ratios", "4:2:1", "--output", tmp_path / "sets")
    assert "Written: " in said
    files = [tmp_path / "sets" / f"{n}.json" for n in ("train", "valid", "test")]
    said = run(
        "check",
        *files,
        "--label",
        demo.label,
        "--output",
        tmp_path / "report",
        "--samples",
        1,
    )
    assert "Check passed" in said
    assert (tmp_path / "report" / "check_dataset" / "index.html").is_file()
    said = run("stats", files[0], "--json")
    assert json.loads(said)[str(files[0])]["images"] == 4
    assert "picture" in run("show", files[0], tmp_path / "sheet.jpg", "--count", 2)
    assert "image" in run("crop", files[0], tmp_path / "crops")


def test_check_fails_with_code_1_and_fix_writes_what_passes(
    demo: DemoFiles, tmp_path: Path
):
    content = json.loads(demo.train.read_text("utf-8"))
    content["annotations"][0]["image_id"] = 12345
    content["annotations"][1]["segmentation"] = [[1, 1, 2, 2]]
    for image in content["images"]:
        target = tmp_path / image["file_name"]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((demo.train.parent / image["file_name"]).read_bytes())
    bad, good = tmp_path / "bad.json", tmp_path / "good.json"
    bad.write_text(json.dumps(content))
    said = run("check", bad, "--output", tmp_path / "r", "--fix", good, code=1)
    assert "points nowhere: 1" in said
    assert "under three points: 1" in said
    assert "0 errors" in run("check", good, "--output", tmp_path / "r")


def test_convert_tells_what_it_wrote_and_writes_the_labels(
    demo: DemoFiles, tmp_path: Path
):
    said = run(
        "convert",
        demo.train,
        tmp_path / "voc",
        "--to",
        "voc",
        "--label",
        tmp_path / "label.txt",
    )
    assert "(coco to voc)" in said
    assert "VOC has no crowds" in said
    assert (tmp_path / "label.txt").read_text() == demo.label.read_text()
    result = CliRunner().invoke(
        main, ["data", "convert", str(demo.train), str(tmp_path / "voc"), "--to", "voc"]
    )
    assert result.exit_code == 1
    assert "exists already" in result.output
    assert "Traceback" not in result.output


def test_wrong_files_are_one_line(tmp_path: Path):
    (tmp_path / "a.json").write_text("{")
    for args in (
        ["stats", "nowhere.json"],
        ["check", str(tmp_path / "a.json")],
        ["show", str(tmp_path), "x.png"],
    ):
        result = CliRunner().invoke(main, ["data", *args])
        assert result.exit_code == 1
        assert result.output.startswith("Error: ")
        assert len(result.output.splitlines()) == 1


def test_control_characters_in_names_do_not_reach_the_terminal(
    demo: DemoFiles, tmp_path: Path
):
    content = json.loads(demo.train.read_text("utf-8"))
    content["images"][0]["file_name"] = "a\x1b[2Jb.png"
    content["categories"][0]["name"] = "fr\x1b]0;uit\x07"
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(content))
    fixed = tmp_path / "fixed.json"
    said = run("check", bad, "--output", tmp_path / "r", "--fix", fixed, code=1)
    said += run("stats", bad)
    said += run("convert", bad, tmp_path / "all.json", "--no-images")
    said += run("remove", bad, tmp_path / "l.json", "--image", "a\x1b", code=1)
    assert "\\x1b[2J" in said
    assert not {"\x1b", "\x07"} & set(said)


def test_boxes_become_masks_when_asked(demo: DemoFiles, tmp_path: Path):
    content = json.loads(demo.train.read_text("utf-8"))
    for item in content["annotations"]:
        del item["segmentation"]
    boxes = demo.train.parent / "boxes.json"
    boxes.write_text(json.dumps(content))
    try:
        said = run("check", boxes, "--output", tmp_path / "r")
        assert "no mask: 1" in said
        run("convert", boxes, tmp_path / "a" / "all.json")
        assert json.loads(run("stats", tmp_path / "a" / "all.json", "--json"))
        run("convert", boxes, tmp_path / "b" / "all.json", "--boxes-to-masks")
    finally:
        boxes.unlink()
    for name, kind in (("a", "none"), ("b", "polygons")):
        found = json.loads(run("stats", tmp_path / name / "all.json", "--json"))
        (values,) = found.values()
        assert values["masks"][kind] == values["annotations"]


def test_a_split_says_what_groups_do_not_allow(demo: DemoFiles, tmp_path: Path):
    said = run(
        *("split", demo.train, "--output", tmp_path, "--ratios", "1:1"),
        *("--group-by", r"(.)\.\w+$", "--no-images"),
    )
    assert "Written: " in said
    content = json.loads(demo.train.read_text("utf-8"))
    assert len(content["images"]) == 4


def test_tiles_and_what_became_of_the_objects(demo: DemoFiles, tmp_path: Path):
    said = run("tile", demo.train, tmp_path / "tiles", "--tile", 64, "--overlap", 0)
    assert re.search(r"\d+ tiles: .*segm\.json", said)
    assert re.search(r"\d+ whole, \d+ cut by an edge and kept, \d+ left out", said)
    assert (tmp_path / "tiles" / "segm.json").is_file()
    assert "exists already" in run(
        "tile", demo.train, tmp_path / "tiles", "--tile", 64, code=1
    )
    run("tile", demo.train, tmp_path / "tiles", code=2)
