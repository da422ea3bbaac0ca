"""Worker processes that start from a fresh Python, as on Windows and macOS, import the script again."""

from __future__ import annotations

import pytest

pytest.importorskip("mmdet", reason="needs MMDetection")

from cvtk.scripts.create import create_script

DRIVER = """\
import multiprocessing

import segm

if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    segm.main()
"""


@pytest.mark.train
@pytest.mark.parametrize("vanilla", [False, True], ids=["helper", "vanilla"])
def test_a_script_trains_with_spawned_workers(vanilla, demo, tmp_path, command):
    model = "rtmdet_tiny_8xb32-300e_coco"
    create_script(tmp_path / "segm.py", "det", model, vanilla=vanilla)
    driver = tmp_path / "driver.py"
    driver.write_text(DRIVER)
    options = "--epoch 1 --batch_size 2 --num_workers 1 --image_size 64 --weights none"
    data = ["--label", str(demo.label), "--train", str(demo.train)]
    output = ["--output_weights", "out/fruit.pth", "--device", "cpu"]
    done = command(driver, "train", *data, *options.split(), *output)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/fruit.pth").is_file()
    config = (tmp_path / "out/fruit.py").read_text()
    assert "mp_start_method='spawn'" in config
