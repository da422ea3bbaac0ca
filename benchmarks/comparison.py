"""How often `cvtk compare` tells two models apart: equally good ones, and ones of which one is better.

Both models look at the same images, drawn from a population in which images differ in quality (see intervals.py).
Equally good models should be told apart in about 5 of 100 tests. Beside it: the same draws taken for each model on
its own, as if the two had been tested on different images.
"""

from __future__ import annotations

import numpy as np

from cvtk.analysis.bootstrap import draw_images, draw_metrics, interval_of
from cvtk.tables import table
from intervals import SCORE, detect, scene


def is_apart(first, second, images):
    interval = interval_of(second - first, images, least=-1.0)
    return interval.low > 0 or interval.high < 0


def told_apart(images, skill, tests, draws):
    """The share of tests that tell a model apart from one that finds less: paired, and each on its own."""
    rng = np.random.default_rng(1)
    everything = np.arange(images)
    paired = alone = 0
    for test in range(tests):
        seen = scene(rng, images)
        both = [detect(rng, seen), detect(rng, seen, skill=skill)]
        kept = [matches.found.score >= SCORE for matches in both]
        draw, other = (
            draw_images(everything, draws, seed) for seed in (test, -test - 1 + 2**31)
        )
        first, second = (
            draw_metrics(matches, is_kept, draw, 100).overall["AP"]
            for matches, is_kept in zip(both, kept, strict=True)
        )
        unpaired = draw_metrics(both[1], kept[1], other, 100).overall["AP"]
        paired += is_apart(first, second, images)
        alone += is_apart(first, unpaired, images)
    return paired / tests, alone / tests


def main(tests=200, draws=200):
    rows = []
    for skill, what in ((1.0, "equally good"), (0.9, "finds 10% fewer objects")):
        for images in (12, 30, 100):
            shares = told_apart(images, skill, tests, draws)
            rows.append((what, images, *(f"{share:.3f}" for share in shares)))
    print(f"How often two models are told apart by AP, of {tests} tests")
    header = ("second model", "images", "paired", "each on its own")
    print(table(rows, header, right=(1, 2, 3)))


if __name__ == "__main__":
    main()
