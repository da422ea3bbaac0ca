"""`--batch_size auto`: two real steps, and the memory that a GPU would have told."""

from __future__ import annotations

import shutil

import pytest

pytest.importorskip("mmdet", reason="needs MMDetection")

import torch

from cvtk.engine.batch import largest_batch
from cvtk.engine.runner import TrainingRunner

MB = 2**20


@pytest.fixture
def fitted(built, monkeypatch):
    """Fits a batch to a GPU on which a model takes 100 MB and each image 50."""

    def fit(gpu_mb, images=1000):
        cfg = built("rtmdet_tiny_8xb32-300e_coco", "det", epoch=1, image_size=64)
        # as many images as there should be, by showing the few again and again
        data = cfg.train_dataloader.dataset
        times = images // 4
        cfg.train_dataloader.dataset = {
            "type": "RepeatDataset",
            "times": times,
            "dataset": data,
        }
        peaks = iter([(100 + 50 * batch) * MB for batch in (2, 4)])
        # A GPU is what is missing here; the steps are real.
        monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: None)
        monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: next(peaks))
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (0, gpu_mb * MB))
        return largest_batch(cfg)

    return fit


@pytest.mark.train
@pytest.mark.parametrize(
    ("gpu_mb", "images", "expected"),
    [
        (2000, 1000, 32),  # (0.85 * 2000 - 100) / 50
        (150, 1000, 1),  # not even one: it will say so itself
        (80000, 400, 40),  # an epoch keeps ten steps
    ],
)
def test_the_largest_batch_that_fits(gpu_mb, images, expected, fitted):
    assert fitted(gpu_mb, images) == expected


@pytest.mark.train
def test_the_folder_of_an_earlier_training_is_not_needed(fitted, built, tmp_path):
    earlier = built(image_size=64)
    earlier.work_dir = str(tmp_path / "earlier")
    TrainingRunner.from_cfg(earlier)
    shutil.rmtree(earlier.work_dir)
    assert fitted(2000) == 32
    assert not (tmp_path / "earlier").exists()
