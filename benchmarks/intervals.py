"""How often a 95% interval holds the true value, and how long intervals take.

Images are drawn from a population whose metrics are known (from 20,000 images): they differ in quality, so that
the objects of one image resemble each other. The percentile interval of the same draws is there to compare with.
Then images come in groups of five that are of one quality, such as five photographs of a plant: drawn one by one, they
are taken for five independent ones.

    python benchmarks/intervals.py [--tests N]
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from cvtk.analysis import bootstrap
from cvtk.analysis.matching import NOTHING, Matches, Overlaps
from cvtk.metrics import Detections, GroundTruth
from cvtk.tables import table

CLASSES = ["a", "b"]
SCORE = 0.5
ALIKE = 5


def simulate(rng, images, objects=8, false=4, alike=1):
    """Matches of images of different quality, with about so many objects and false detections in each."""
    return detect(rng, scene(rng, images, objects, alike), false)


def scene(rng, images, objects=8, alike=1):
    """The quality of each image, the same in so many, and the image and the class of each object."""
    quality = np.repeat(rng.beta(6, 3, images // alike), alike)
    true_image = np.repeat(np.arange(images), rng.poisson(objects, images))
    return quality, true_image, rng.integers(1, 3, len(true_image))


def detect(rng, seen, false=4, skill=1.0):
    """Matches of a model that finds the share `quality * skill` of an image's objects."""
    quality, true_image, true_category = seen
    images = len(quality)
    is_found = rng.random(len(true_image)) < skill * quality[true_image]
    false_image = np.repeat(np.arange(images), rng.poisson(false, images))
    hits, misses = int(is_found.sum()), len(false_image)
    image = np.concatenate((true_image[is_found], false_image)) + 1
    category = np.concatenate((true_category[is_found], rng.integers(1, 3, misses)))
    score = np.concatenate((rng.beta(5, 2, hits), rng.beta(2, 4, misses)))
    levels = np.concatenate((rng.integers(1, 11, hits), np.zeros(misses, dtype=int)))
    true = np.concatenate((np.flatnonzero(is_found), np.full(misses, NOTHING)))
    order = np.argsort(-score, kind="stable")
    matched = np.where(np.arange(10)[:, None] < levels[order], true[order], NOTHING)
    truth = GroundTruth(
        file="simulated",
        image_numbers={},
        image_names=[""] * images,
        image_sizes=[None] * images,
        category_numbers={},
        classes=CLASSES,
        class_order=CLASSES,
        objects=[],
        notes=[],
    )
    boxes = np.zeros((len(order), 4))
    found = Detections(image[order], category[order], boxes, score[order], None)
    nothing = np.zeros(0, dtype=np.int64)
    return Matches(
        truth=truth,
        found=found,
        number=order + 1,
        kind="segm",
        rank=np.zeros(len(order), dtype=np.int64),
        true_image=true_image + 1,
        true_category=true_category,
        is_crowd=np.zeros(len(true_image), dtype=bool),
        overlaps=Overlaps(nothing, nothing, np.zeros(0)),
        matched=matched,
    )


def metrics(matches, draws, seed=0):
    kept = matches.found.score >= SCORE
    return bootstrap.intervals(matches, kept, draws=draws, seed=seed).overall


def percentile(values, images):
    low, high = np.nanpercentile(values[1:], (2.5, 97.5))
    return bootstrap.Interval(float(values[0]), float(low), float(high))


def coverage(images, tests, draws):
    """The share of tests whose interval holds the true value, by metric: ours, and the percentile one."""
    rng = np.random.default_rng(1)
    true = metrics(simulate(rng, 20_000), draws=0)
    everything = np.arange(images)
    hits = {name: [0, 0] for name in true}
    for test in range(tests):
        matches = simulate(rng, images)
        kept = matches.found.score >= SCORE
        weights = bootstrap.draw_images(everything, draws, seed=test)
        drawn = bootstrap.draw_metrics(matches, kept, weights, limit=100).overall
        for name, values in drawn.items():
            for place, rule in enumerate((bootstrap.interval_of, percentile)):
                told = rule(values, images)
                hits[name][place] += told.low <= true[name].value <= told.high
    return {name: [n / tests for n in found] for name, found in hits.items()}


def coverage_of_groups(images, alike, tests, draws):
    """The same where so many images are alike: drawn by groups, and one by one."""
    rng = np.random.default_rng(1)
    true = metrics(simulate(rng, 20_000), draws=0)
    alone = np.arange(images)
    hits = {name: [0, 0] for name in true}
    for test in range(tests):
        matches = simulate(rng, images, alike=alike)
        kept = matches.found.score >= SCORE
        for place, groups in enumerate((alone // alike, alone)):
            weights = bootstrap.draw_images(groups, draws, seed=test)
            drawn = bootstrap.draw_metrics(matches, kept, weights, limit=100).overall
            for name, values in drawn.items():
                told = bootstrap.interval_of(values, len(np.unique(groups)))
                hits[name][place] += told.low <= true[name].value <= told.high
    return {name: [n / tests for n in found] for name, found in hits.items()}


def main(draws=300):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tests", type=int, default=200)
    tests = parser.parse_args().tests
    rows = []
    for images in (30, 60, 120):
        for name, (ours, other) in coverage(images, tests, draws).items():
            rows.append((images, name, f"{ours:.3f}", f"{other:.3f}"))
    print(f"How often the true value is in a 95% interval, of {tests} tests")
    header = ("images", "metric", "cvtk", "percentile")
    print(table(rows, header, right=(0, 2, 3)))
    rows = []
    for groups in (12, 30, 60):
        found = coverage_of_groups(groups * ALIKE, ALIKE, tests, draws)
        for name, (ours, other) in found.items():
            rows.append((groups, name, f"{ours:.3f}", f"{other:.3f}"))
    print(f"\nThe same in groups of {ALIKE} images that are alike")
    header = ("groups", "metric", "groups drawn", "images drawn")
    print(table(rows, header, right=(0, 2, 3)) + "\n")
    matches = simulate(np.random.default_rng(1), 500, objects=7, false=93)
    start = time.perf_counter()
    metrics(matches, draws=1000)
    seconds = time.perf_counter() - start
    print(f"1000 draws of 500 images, {len(matches.found)} detections: {seconds:.1f} s")


if __name__ == "__main__":
    main()
