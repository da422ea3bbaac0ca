"""Worker processes that start from a fresh Python, as on Windows and macOS, import the script again."""

from __future__ import annotations

import pytest

pytest.importorskip("mmdet", reason="needs MMDetection")

DRIVER = """\
import multiprocessing

import detect

if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    detect.main()
"""


@pytest.mark.train
@pytest.mark.parametrize("vanilla", [False, True], ids=["helper", "vanilla"])
def test_a_script_trains_with_spawned_workers(vanilla, tmp_path, drive):
    done = drive(DRIVER, vanilla=vanilla, workers=1)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/fruit.pth").is_file()
    config = (tmp_path / "out/fruit.py").read_text()
    assert "mp_start_method='spawn'" in config
