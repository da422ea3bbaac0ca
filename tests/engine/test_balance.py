"""Images with rare classes are seen more often, as often as the rule says, and by all processes together."""

from __future__ import annotations

import copy
from collections import Counter

import numpy as np
import pytest

pytest.importorskip("mmdet", reason="needs MMDetection")

from cvtk.engine.balance import BalancedSampler, draw, how_often
from cvtk.engine.train import build_runner

COMMON, RARE, USUAL = 0, 1, 2
# Of ten images nine have the common class, five the usual one, and two the rare one.
IMAGES = [
    *[{COMMON, USUAL}] * 4,
    *[{COMMON}] * 3,
    {COMMON, RARE},
    {COMMON, USUAL, RARE},
    set(),
]


class Images:
    """A data set as a sampler sees it."""

    def __len__(self):
        return len(IMAGES)

    def get_data_info(self, number):
        return {"instances": [{"bbox_label": kind} for kind in IMAGES[number]]}


def sampler(epoch=0, rank=0, processes=1):
    made = BalancedSampler(Images(), seed=3)
    made.rank, made.world_size = rank, processes
    made.set_epoch(epoch)
    return made


def test_the_rarest_class_of_an_image_counts():
    rare = (0.5 / 0.2) ** 0.5  # 1.58
    expected = [1, 1, 1, 1, 1, 1, 1, rare, rare, 1]
    assert how_often(IMAGES).tolist() == pytest.approx(expected)


def test_an_epoch_is_as_long_as_ever_and_no_image_is_forgotten():
    often = np.array([1.0, 1.0, 2.0, 4.0])
    seen = Counter(draw(often, 16, np.random.default_rng(0)).tolist())
    assert seen == {0: 2, 1: 2, 2: 4, 3: 8}
    for seed in range(50):  # 1.25, 1.25, 2.5 and 5 of 10
        seen = Counter(draw(often, 10, np.random.default_rng(seed)).tolist())
        assert seen.total() == 10 and seen[3] == 5
        assert seen[0] in (1, 2) and seen[1] in (1, 2) and seen[2] in (2, 3)


def test_epochs_differ_and_a_resumed_one_does_not():
    first, second = list(sampler(epoch=0)), list(sampler(epoch=1))
    assert first != second
    assert first == list(sampler(epoch=0))


def test_processes_share_an_epoch():
    alone = list(sampler())
    first, second = (list(sampler(rank=rank, processes=2)) for rank in (0, 1))
    assert sorted(first + second) == sorted(alone)


@pytest.mark.parametrize(
    ("model", "task"),
    [("rtmdet-ins_tiny_8xb32-300e_coco", "segm"), ("yolox_tiny_8xb8-300e_coco", "det")],
)
def test_a_training_has_it(model, task, built):
    cfg = built(model, task, balance=True)
    assert any("rare classes" in said for said in cfg.decisions)
    written = copy.deepcopy(cfg.train_dataloader.sampler)
    loader = build_runner(cfg, "cpu", balance=True).train_dataloader
    assert isinstance(loader.sampler, BalancedSampler)
    assert len(list(loader.sampler)) == len(loader.dataset)
    assert cfg.train_dataloader.sampler == written, "MMDetection can build it alone"
