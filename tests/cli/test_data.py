"""`cvtk data`: the commands as a user runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from cvtk.cli import main
from cvtk.demo import DemoFiles

COMMANDS = ["convert", "check", "split", "combine", "remove", "crop", "stats", "show"]


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
