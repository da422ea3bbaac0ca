"""What test-time augmentation brings, and what each of its views brings: mask AP and time.

Every image of an annotated set is predicted once, then mirrored too, at the other size alone, so and mirrored too,
and in all four views, as `--tta` does. The merging is that of `--tta` each time. Differences from once are paired, with
a 95% interval: the images are drawn again and again (bootstrap).

Without --data the set is 40 pictures of discs and squares, and the weights are those of tiles.py, trained here unless
--weights names them.

    python benchmarks/tta.py [--weights FILE.pth] [--data FILE.json]
"""

from __future__ import annotations

import argparse
import copy
import tempfile
import time
from pathlib import Path

from cvtk.analysis.comparison import HEADLINE, Rival, compare_predictions
from cvtk.engine.evaluate import predict_all, read_truth
from cvtk.engine.predict import Predictor
from cvtk.engine.spec import open_weights
from cvtk.tables import table
from tiles import PIECE, scene, train, write

IMAGES = 40
WAYS = {
    "once": slice(0, 0),  # as it is: nothing is merged
    "mirrored too": slice(0, 2),
    "the other size, alone": slice(2, 3),
    "the other size, mirrored too": slice(2, 4),
    "all four: --tta": slice(0, 4),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, help="of masks; trained if left out")
    parser.add_argument("--data", type=Path, help="COCO file; drawn if left out")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        weights = args.weights or train(folder, "none", 16)
        pictures = (scene(PIECE, 3000 + k) for k in range(IMAGES))
        compare(weights, args.data or write(folder, "test", list(pictures)))


def compare(weights: Path, file: Path) -> None:
    """Prints the table."""
    once = Predictor(open_weights(weights), "cpu")
    truth = read_truth(file, once.spec, once.reading)
    views = once.augmented().views
    first, rows = Rival("once", []), []
    for way, chosen in WAYS.items():
        predictor = copy.copy(once)
        predictor.views = views[chosen]
        start = time.process_time()
        predictions = predict_all(predictor, truth)
        seconds = (time.process_time() - start) / len(truth.images)
        rival = Rival(way, predictions)
        if way == "once":
            first = rival
        found = compare_predictions(truth, first, rival, "segm").everything
        told = found.overall[HEADLINE]
        change = "" if rival is first else f"{told.change.value:+.3f}"
        interval = change and f"{told.change.low:+.3f} to {told.change.high:+.3f}"
        rows.append([way, f"{told.second:.3f}", change, interval, f"{seconds:.2f}"])
    print(f"{file}: {len(truth.images)} images\n")
    header = ["views", "mask AP", "difference", "95% interval", "CPU s per image"]
    print(table(rows, header, right=range(1, 5)))


if __name__ == "__main__":
    main()
