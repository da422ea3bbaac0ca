"""Templates: known clusters are found again, and names tell left from right."""

from __future__ import annotations

import numpy as np
import pytest

from cvtk.pose2seg.alignment import mirrored
from cvtk.pose2seg.templates import cluster, in_unit_square, mirrored_pairs

PAIRS = [[0, 1], [2, 3]]
STANDING = np.array(
    [[0.4, 0.1], [0.6, 0.1], [0.4, 0.9], [0.6, 0.9], [0.5, 0.0], [0.7, 0.5]]
)
LYING = STANDING[:, ::-1]
HALF = np.array([[0.2, 0.4], [0.8, 0.4], [0, 0], [0, 0], [0.5, 0.1], [0.9, 0.8]])


def poses(places, missing=(), count=30, seed=0):
    """Poses around some places, some with the chance to be mirrored."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        marks = np.where(np.isin(range(len(places)), missing), 0, 2)
        pose = np.column_stack([places + rng.normal(0, 0.02, places.shape), marks])
        found.append(mirrored(pose, PAIRS, 1.0) if rng.random() < 0.5 else pose)
    return found


def apart(template, places):
    """How far a template, or its mirror image, lies from places."""
    both = template[:, :2], mirrored(template, PAIRS, 1.0)[:, :2]
    marked = template[:, 2] > 0
    return min(np.abs(each - places)[marked].max() for each in both)


def test_clusters_are_found_again_the_largest_first():
    known = [poses(STANDING, count=50), poses(LYING, count=30), poses(HALF, (2, 3), 20)]
    mixed = [pose for one in known for pose in one]
    order = np.random.default_rng(3).permutation(len(mixed))
    found = cluster([mixed[number] for number in order], PAIRS)
    assert len(found) == 3
    for template, places in zip(found, (STANDING, LYING, HALF), strict=True):
        assert apart(template, places) < 0.02
    np.testing.assert_array_equal(found[2][:, 2], [2, 2, 0, 0, 2, 2])
    assert (found[2][2] == 0).all(), "what is missing has no place"


def test_the_same_poses_give_the_same_templates():
    mixed = [*poses(STANDING), *poses(LYING)]
    for one, other in zip(cluster(mixed, PAIRS), cluster(mixed, PAIRS), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_keypoint_that_few_have_is_no_part_of_a_template():
    mixed = [*poses(STANDING, (2,), count=20), *poses(STANDING, count=5)]
    [template] = cluster(mixed, PAIRS, count=1)
    assert sorted(template[[2, 3], 2]) == [0, 2], "one of them, as it is or mirrored"
    assert template[[0, 1, 4, 5], 2].all()


def test_few_poses_make_few_templates():
    assert cluster([], PAIRS) == []
    assert cluster(poses(STANDING, (0, 1, 2, 3)), PAIRS) == [], "two keypoints"
    assert len(cluster(poses(STANDING, count=1), PAIRS)) == 1


def test_the_square_has_the_box_in_its_middle():
    pose = np.array([[10.0, 20, 2], [30, 60, 1]])
    found = in_unit_square(pose, [10, 20, 20, 40])
    np.testing.assert_allclose(found, [[0.25, 0, 2], [0.75, 1, 1]])


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (["nose", "left_eye", "right_eye"], [[1, 2]]),
        (["RightHip", "tail", "LeftHip"], [[0, 2]]),
        (["R_Eye", "L_Eye", "ear.l", "ear.r"], [[0, 1], [2, 3]]),
        (["tail", "roll", "left wing", "petal"], []),
    ],
)
def test_names_tell_what_a_mirror_exchanges(names, pairs):
    assert mirrored_pairs(names) == pairs
