"""The line of a script that tells how it was made is read back, and nothing else is taken for it."""

from __future__ import annotations

import pytest

import cvtk
from cvtk.scripts.create import create_script
from cvtk.scripts.stamp import Stamp, read_stamp


@pytest.mark.parametrize("vanilla", [False, True])
def test_a_script_tells_how_it_was_made(vanilla, tmp_path):
    script = create_script(tmp_path / "é.py", "det", vanilla=vanilla)
    mode = "vanilla" if vanilla else "helper"
    model = "faster-rcnn_r101_fpn_1x_coco"
    assert read_stamp(script) == Stamp(cvtk.__version__, "det", mode, model)


def test_a_script_of_the_first_version_is_known(tmp_path):
    line = (
        '# cvtk: {"version": "0.1.0", "task": "segm", "mode": "helper", "model": "a"}\n'
    )
    (tmp_path / "a.py").write_text(f'"""Mine."""\n\n{line}import cvtk\n')
    assert read_stamp(tmp_path / "a.py") == Stamp("0.1.0", "segm", "helper", "a")


@pytest.mark.parametrize(
    "text",
    [
        "import cvtk\n",
        "# cvtk: is nice\n",
        "# cvtk: {broken}\n",
        '# cvtk: {"version": "9"}\n',
        '# cvtk: {"version": "9", "task": "", "mode": "", "model": "", "more": 1}\n',
    ],
)
def test_other_files_have_none(text, tmp_path):
    (tmp_path / "a.py").write_text(text)
    assert read_stamp(tmp_path / "a.py") is None


def test_a_file_that_is_not_there_has_none(tmp_path):
    assert read_stamp(tmp_path / "none.py") is None
    assert read_stamp(tmp_path) is None
