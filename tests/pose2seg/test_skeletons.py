"""The maps of a skeleton, beside a direct transcription of their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs PyTorch")

import torch

from cvtk.pose2seg.skeletons import affinity_fields, confidence_maps, skeleton_maps

SIDE = 16
# A visible keypoint, a hidden one, one that is missing, and one outside the square.
POSE = [[4.0, 3.5, 2], [11.2, 9.0, 1], [6.0, 6.0, 0], [19.0, 3.5, 2]]
LIMBS = [[0, 1], [0, 2], [3, 0]]


def spot(pose, x, y):
    """The confidence of each keypoint at a place."""
    sign = {2: 1, 1: -1, 0: 0}
    spread = 3 / 64 * SIDE
    for px, py, visibility in pose:
        apart = math.hypot(x - px, y - py)
        yield sign[visibility] * math.exp(-(apart**2) / (2 * spread**2))


def directions(pose, x, y):
    """The direction of each limb that passes a place within a pixel."""
    for a, b in LIMBS:
        (ax, ay, av), (bx, by, bv) = pose[a], pose[b]
        length = math.hypot(bx - ax, by - ay)
        ux, uy = (bx - ax) / length, (by - ay) / length
        along = (x - ax) * ux + (y - ay) * uy
        foot = ax + along * ux, ay + along * uy
        on_it = 0 <= along <= length and math.dist(foot, (x, y)) <= 1
        yield from (ux, uy) if on_it and av and bv else (0, 0)


@pytest.mark.parametrize(
    ("made", "transcribed"),
    [
        (confidence_maps(torch.tensor([POSE]), SIDE), spot),
        (affinity_fields(torch.tensor([POSE]), LIMBS, SIDE), directions),
    ],
    ids=["keypoints", "limbs"],
)
def test_maps_are_those_of_the_definition(made, transcribed):
    expected = [
        [list(transcribed(POSE, column + 0.5, row + 0.5)) for column in range(SIDE)]
        for row in range(SIDE)
    ]
    np.testing.assert_allclose(
        made[0], np.array(expected).transpose(2, 0, 1), atol=1e-6
    )
    assert made.abs().sum() > 5


def test_people_have_the_published_number_of_maps():
    poses = torch.rand(2, 17, 3)
    assert skeleton_maps(poses, [[0, 1]] * 19, SIDE).shape == (2, 55, SIDE, SIDE)
    assert skeleton_maps(poses, [], SIDE).shape == (2, 17, SIDE, SIDE)


def test_a_limb_without_length_harms_nothing():
    poses = torch.tensor([[[5.0, 5, 2], [5, 5, 2]]])
    assert torch.isfinite(skeleton_maps(poses, [[0, 1]], SIDE)).all()
