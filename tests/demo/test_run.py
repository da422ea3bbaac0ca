"""The demo's run: every command is shown, and a failing one is named."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from cvtk.demo import run_demo
from cvtk.demo.run import contact_sheet, run_script
from cvtk.errors import CvtkError, FileError


@pytest.mark.train
def test_the_whole_demo_on_a_few_small_images(tmp_path, capfd):
    said = []
    stats = run_demo(
        tmp_path / "fruit", images=(4, 1, 3), epochs=1, image_size=64, show=said.append
    )
    commands = [line for line in said if line.startswith("$ ")]
    assert [line.split()[1:4] for line in commands] == [
        ["cvtk", "create", "--script"],
        ["python", "segm.py", "train"],
        ["python", "segm.py", "evaluate"],
        ["python", "segm.py", "inference"],
    ]
    assert "On 3 test images with" in said[-1]
    outputs = tmp_path / "fruit" / "outputs"
    assert (
        json.loads((outputs / "test" / "test_stats.json").read_text())["stats"] == stats
    )
    assert (outputs / "fruit.pth").is_file()
    with Image.open(outputs / "pictures.png") as sheet:
        assert sheet.size == (2 * 320 + 6, 240), "the two pictures after the first"
    with pytest.raises(
        FileError, match=r"already holds label\.txt, .*outputs.*force=True"
    ):
        run_demo(tmp_path / "fruit")
    assert "Traceback" not in capfd.readouterr().err


def test_a_command_that_fails_is_named(tmp_path, capfd):
    script = tmp_path / "segm.py"
    script.write_text("raise SystemExit('no such thing')")
    with pytest.raises(
        CvtkError, match=r"'python segm\.py train' ended with exit code 1.*cvtk doctor"
    ):
        run_script(script, "train --label 'a b.txt'", lambda line: None)
    assert "no such thing" in capfd.readouterr().err


def test_a_contact_sheet_is_filled_row_by_row(tmp_path):
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    paths = []
    for index, colour in enumerate(colours):
        paths.append(tmp_path / f"{index}.png")
        Image.new("RGB", (10, 8), colour).save(paths[-1])
    with Image.open(contact_sheet(paths, tmp_path / "sheet.png", columns=2)) as sheet:
        assert sheet.size == (26, 22)
        assert [sheet.getpixel(at) for at in ((0, 0), (16, 0), (0, 14), (25, 21))] == [
            *colours,
            (255, 255, 255),
        ]
