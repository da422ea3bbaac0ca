"""The alignment of poses: its closed form beside a numeric search, and which template is chosen."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import least_squares

from cvtk.pose2seg.alignment import (
    align,
    fit,
    mirrored,
    moved,
    scale_of,
    similarity,
    varied,
    with_mirrored,
)

# A kite, asymmetric enough that nothing lies upon itself: head, left hand, right hand, foot.
KITE = np.array([[0.5, 0.1, 2], [0.2, 0.3, 2], [0.8, 0.4, 2], [0.5, 0.9, 2]])
HANDS = [[1, 2]]
PLAIN = np.array([[0.1, 0, 0], [0, 0.1, 0]])  # 640 pixels become 64


def turned(points, degrees, scale, shift):
    """What a rotation, a scale and a shift make of points, one after the other."""
    a = np.deg2rad(degrees)
    rotation = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    return scale * points @ rotation.T + shift


def in_image(degrees=0, scale=200, shift=(300, 100)):
    """The kite as a pose in an image."""
    return np.column_stack([turned(KITE[:, :2], degrees, scale, shift), KITE[:, 2]])


def test_a_similarity_is_found_again():
    rng = np.random.default_rng(1)
    points = rng.uniform(0, 100, (5, 2))
    found = similarity(points, turned(points, 70, 0.3, (5, -8)))
    cos, sin = 0.3 * np.cos(np.deg2rad(70)), 0.3 * np.sin(np.deg2rad(70))
    np.testing.assert_allclose(found, [[cos, -sin, 5], [sin, cos, -8]], atol=1e-9)
    assert scale_of(found) == pytest.approx(0.3)


def test_the_closed_form_is_the_best_that_a_search_finds():
    rng = np.random.default_rng(2)
    points, targets = rng.uniform(0, 9, (6, 2)), rng.uniform(0, 9, (6, 2))

    def errors(parameters):
        angle, scale, *shift = parameters
        return (turned(points, angle, scale, shift) - targets).ravel()

    searched = least_squares(errors, [0, 1, 0, 0], xtol=1e-12, ftol=1e-12)
    expected = turned(points, searched.x[0], searched.x[1], searched.x[2:])
    found = moved(points, similarity(points, targets))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_points_that_are_one_have_no_transform():
    assert similarity(np.ones((4, 2)), KITE[:, :2]) is None


def test_a_pose_that_is_the_template_fits_perfectly():
    score, transform = fit(in_image(degrees=40), KITE)
    assert score == pytest.approx(1)
    laid = moved(in_image(degrees=40)[:, :2], transform)
    np.testing.assert_allclose(laid, KITE[:, :2], atol=1e-9)


def test_the_score_by_hand():
    template = np.array([[0, 0, 2], [1, 0, 2], [0, 1, 2], [9, 9, 2]])
    pose = np.array([[0, 0, 2], [1, 0, 1], [0, 1, 2], [0, 0, 0]])
    score, _ = fit(pose, template)
    assert score == pytest.approx(3 / 4), "three keypoints of four, all in their place"
    pose[2, 1] = 2  # twice as far: the best compromise, by the search of the test above
    score, transform = fit(pose, template)
    apart = moved(pose[:3, :2], transform) - template[:3, :2]
    closeness = [np.exp(-(x * x + y * y) / 2) for x, y in apart]
    assert score == pytest.approx(sum(closeness) / 3 * 3 / 4)


def test_half_bodies_fit_no_template_of_more_or_less():
    few, more = in_image(), KITE.copy()
    few[2:, 2] = 0
    assert fit(few, KITE) is None, "two keypoints are too few"
    more[3, 2] = 0
    assert fit(in_image(), more) is None, "a foot that the template lacks"
    half = in_image()
    half[3, 2] = 0
    assert fit(half, KITE)[0] == pytest.approx(3 / 4)


def test_the_object_lies_where_its_template_is():
    pose = in_image(degrees=180)
    found = align(pose, with_mirrored([KITE], HANDS), 64, PLAIN)
    np.testing.assert_allclose(moved(pose[:, :2], found), KITE[:, :2] * 64, atol=1e-6)


def test_a_mirrored_object_fits_the_mirrored_template():
    pose = mirrored(in_image(), HANDS, width=640)
    assert fit(pose, KITE)[0] < 1
    found = align(pose, with_mirrored([KITE], HANDS), 64, PLAIN)
    head, left, right, _ = moved(pose[:, :2], found) / 64
    np.testing.assert_allclose(head, [0.5, 0.1], atol=1e-6)
    np.testing.assert_allclose(left, [0.2, 0.4], atol=1e-6)
    np.testing.assert_allclose(right, [0.8, 0.3], atol=1e-6)


@pytest.mark.parametrize("scale", [700, 5000])
def test_an_object_larger_than_the_image_is_seen_with_all_of_it(scale):
    assert align(in_image(scale=scale), [KITE], 64, PLAIN) is PLAIN


def test_what_fits_nothing_is_seen_with_all_of_the_image():
    assert align(in_image() * [1, 1, 0], [KITE], 64, PLAIN) is PLAIN
    assert align(in_image(), [], 64, PLAIN) is PLAIN


def test_a_varied_transform_turns_about_the_middle():
    plain = np.array([[1.0, 0, 0], [0, 1, 0]])
    middle = np.array([[32.0, 32], [42, 32]])
    quarter = varied(plain, 64, turn=90, scale=1.2, shift=(0.1, 0))
    np.testing.assert_allclose(moved(middle, quarter), [[38.4, 32], [38.4, 44]])
