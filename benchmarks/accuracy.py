"""What makes models more accurate that learn from few images: changes of the recipe, over data sets and seeds.

    python benchmarks/accuracy.py --folder results [--sets cells ...] [--tricks ...] [--seeds 3] [--strawberry FOLDER]

Each trial is a training of RTMDet-Ins tiny, by the defaults and from scratch but for one change (`TRICKS`), on one set
with one seed, in a process of its own with one thread. The best epoch on the validation images is then tested on images
that nothing was chosen on, at several sizes of the image (`--sizes` to see them). The table shows the mean mask AP over
the seeds, its paired difference from the defaults, at the size that cvtk predicts, with a 95% interval (Student's t over
the seeds), that of the validation images, and the CPU time of the training. What is done stands in
`results/trials.jsonl`, and is not done again.

The sets are drawn (`drawn_sets.py`). --strawberry names a folder with train, valid and test, each with segm.json, of
real photographs. --category names a category whose AP the table shows in place of the mean of all.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from cvtk.recipe.schedule import COCO_IMAGES
from cvtk.tables import table
from drawn_sets import IMAGES, SETS, SIZE

MODEL = "rtmdet-ins_tiny"
# Of the tested images, in units of the training's --image_size.
SIZES = (1.0, 1.25, 1.33, 1.5, 2.0)
USUAL_SIZE = 1.33  # which cvtk predicts
METRIC = "AP@[0.50:0.95|all|100]"


@dataclass(frozen=True)
class Files:
    """A data set, and how long it is trained."""

    folder: Path
    size: int
    epochs: int

    def split(self, name: str) -> Path:
        """The annotations of train, valid or test."""
        return self.folder / name / "segm.json"

    @property
    def steps(self) -> int:
        """Of a training with 4 images per step."""
        return IMAGES[0] // 4 * self.epochs


@dataclass(frozen=True)
class Change:
    """Options of `train`, and, for a data set, keys of the configuration as `--set` takes them."""

    options: Mapping[str, Any] = field(default_factory=dict)
    keys: Callable[[Files], list[str]] = lambda files: []


# Of RTMDet's own recipe: 300 epochs of COCO with 256 images per step; how far its average moves in one of them.
RECIPE_STEPS = 300 * COCO_IMAGES // 256
RECIPE_MOMENTUM = 0.0002
# The steps from a file to a piece of an image, in a training without mosaic.
HOOK = "custom_hooks.1"
STEPS = f"{HOOK}.switch_pipeline"
RESIZE = f"{STEPS}.2"
OPTIMIZER = "optim_wrapper.optimizer"


def zoomed(factor: float) -> Change:
    """All images are larger before the pieces are cut out of them."""

    def keys(files: Files) -> list[str]:
        side = round(factor * files.size)
        return [f"{RESIZE}.scale=({side}, {side})"]

    return Change(keys=keys)


def scaled(low: float, high: float) -> Change:
    """Images are enlarged and shrunk by other factors than 0.5 to 2."""
    return Change(keys=lambda files: [f"{RESIZE}.ratio_range=({low}, {high})"])


def pasted(files: Files, rare: bool = False) -> list[str]:
    """Objects are copied from image to image."""
    size = (files.size, files.size)
    grey = {"img": (114, 114, 114)}
    pad = {"type": "PadAndPaste", "size": size, "pad_val": grey, "rare": rare}
    return [f"{STEPS}.1.poly2mask=True", f"{STEPS}.7={pad}"]


def rare_pasted(files: Files) -> list[str]:
    """Objects are copied from image to image, those of rare classes most."""
    return pasted(files, rare=True)


def smaller_first(files: Files) -> list[str]:
    """Two thirds of the epochs see all at 0.6 times the size."""
    side = round(0.6 * files.size / 32) * 32
    size = (side, side)
    steps: list[dict[str, Any]] = [
        {"type": "LoadImageFromFile"},
        {"type": "LoadAnnotations", "with_bbox": True, "with_mask": True},
        {"type": "RandomResize", "scale": size, "ratio_range": (0.5, 2.0), "keep_ratio": True},
        {"type": "RandomCrop", "crop_size": size, "recompute_bbox": True, "allow_negative_crop": True},
        {"type": "FilterAnnotations", "min_gt_bbox_wh": (1, 1)},
        {"type": "YOLOXHSVRandomAug"},
        {"type": "RandomFlip", "prob": 0.5},
        {"type": "Pad", "size": size, "pad_val": {"img": (114, 114, 114)}},
        {"type": "PackDetInputs"},
    ]  # fmt: skip
    epoch = files.epochs * 2 // 3
    return [f"{HOOK}.switch_epoch={epoch}", f"train_dataloader.dataset.pipeline={steps}"]  # fmt: skip


def with_mosaic(files: Files) -> list[str]:
    """Pieces of four images in one, and two images in one, until the last tenth, however few the steps."""
    return [f"{HOOK}.switch_epoch={round(0.9 * files.epochs)}"]


def sampled(kind: str) -> Change:
    """A step sees other images (`sampling.py`)."""
    return Change(keys=lambda files: [f"train_dataloader.sampler.type={kind}"])


def undecayed(files: Files) -> list[str]:
    """Nothing pulls the weights to 0."""
    return [f"{OPTIMIZER}.weight_decay=0.0"]


def with_sgd(files: Files) -> list[str]:
    """SGD in place of AdamW, as Mask R-CNN has it."""
    momentum = f"+{OPTIMIZER}.momentum=0.9"
    return [f"{OPTIMIZER}.type=SGD", momentum, f"{OPTIMIZER}.weight_decay=0.0001"]


def longer_average(files: Files) -> list[str]:
    """The average of the weights reaches back four times as far: over some of the last epochs."""
    usual = RECIPE_MOMENTUM * RECIPE_STEPS / files.steps
    return [f"custom_hooks.0.momentum={usual / 4}"]


TRICKS = {
    "defaults": Change(),
    "enlarged 1.25": zoomed(1.25),
    "enlarged 1.5": zoomed(1.5),
    "enlarged 2": zoomed(2),
    "enlarged 3": zoomed(3),
    "scales 0.75 to 1.5": scaled(0.75, 1.5),
    "objects pasted": Change(keys=pasted),
    "mosaic": Change(keys=with_mosaic),
    "smaller first": Change(keys=smaller_first),
    "longer average": Change(keys=longer_average),
    "rate doubled": Change({"lr": 0.002}),
    "rate quadrupled": Change({"lr": 0.004}),
    "rate of 0.008": Change({"lr": 0.008}),
    "rate halved": Change({"lr": 0.0005}),
    "no decay": Change(keys=undecayed),
    "SGD": Change({"lr": 0.01}, with_sgd),
    "views in pairs": sampled("PairSampler"),
    "balanced": Change({"balance": True}),
    "rare pasted": Change(keys=rare_pasted),
    "batch of 2": Change({"batch_size": 2}),
    "batch of 8": Change({"batch_size": 8}),
    "mixed precision": Change({"amp": True}),
    "scenes": Change({"weights": "scenes"}),
    "scenes, rate doubled": Change({"weights": "scenes", "lr": 0.001}),
    "scenes, rate quadrupled": Change({"weights": "scenes", "lr": 0.002}),
    "scenes, balanced": Change({"weights": "scenes", "balance": True}),
    "scenes, scales 0.75 to 1.5": Change({"weights": "scenes"}, scaled(0.75, 1.5).keys),
    "scenes, objects pasted": Change({"weights": "scenes"}, pasted),
}


def trial(files: Files, name: str, seed: int, folder: Path) -> dict[str, Any]:
    """Trains and tests; returns the AP by split and size, and the CPU time of the training."""
    import torch

    import cvtk
    import pasting  # noqa: F401 -- for the configuration, which names what is in them
    import sampling  # noqa: F401

    torch.set_num_threads(1)
    labels = files.folder / "label.txt"
    model = cvtk.create_model(MODEL, labels=labels, task="segm")
    start = time.process_time()
    usual = {"batch_size": 4, "weights": "none"}
    model.train(
        files.split("train"),
        files.split("valid"),
        output_weights=folder / "model.pth",
        epochs=files.epochs,
        image_size=files.size,
        num_workers=0,
        seed=seed,
        device="cpu",
        force=True,
        set=TRICKS[name].keys(files),
        **{**usual, **TRICKS[name].options},
    )
    seconds = time.process_time() - start
    found = {split: tested(folder / "model.pth", files.split(split), files.size) for split in ("valid", "test")}  # fmt: skip
    return {"seconds": seconds, **found}


def tested(weights: Path, file: Path, size: int) -> dict[str, float]:
    """The mask AP on a set, by the size of the image; that of a category stands behind its name, `1.33 lemon`."""
    from cvtk.engine.evaluate import measure, read_truth
    from cvtk.engine.predict import Predictor
    from cvtk.engine.spec import open_weights
    from cvtk.recipe.sizes import set_image_size

    predictor = Predictor(open_weights(weights), "cpu")
    truth = read_truth(file, predictor.spec, predictor.reading)
    parts = {"test_dataloader": predictor.network.cfg.test_dataloader, "model": {}}
    found = {}
    for factor in SIZES:
        set_image_size(parts, round(factor * size))
        statistics, _ = measure(predictor, truth)
        found[f"{factor:g}"] = statistics["stats"][METRIC]
        for category, values in statistics["class_stats"].items():
            found[f"{factor:g} {category}"] = values[METRIC]
    return found


def show(
    lines: list[dict[str, Any]], sizes: list[float], against: str, category: str | None
) -> None:
    """Prints means over the seeds, by set, change and size, and the differences of the test's AP from one of them."""
    of_category = f" {category}" if category else ""
    rows = []
    for name in dict.fromkeys(line["set"] for line in lines):
        of_set = [line for line in lines if line["set"] == name]
        usual = by_seed(of_set, against, "test", f"{USUAL_SIZE}{of_category}")
        for trick in dict.fromkeys(line["trick"] for line in of_set):
            for size in sizes:
                key = f"{size:g}{of_category}"
                tested = by_seed(of_set, trick, "test", key)
                if not tested:
                    continue
                chosen = by_seed(of_set, trick, "valid", key)
                spent = [t["seconds"] for t in of_set if t["trick"] == trick]
                rows.append(
                    (
                        name,
                        trick,
                        f"{size:g}",
                        len(tested),
                        f"{np.mean(list(tested.values())):.3f}",
                        *compared(tested, usual),
                        f"{np.mean(list(chosen.values())):.3f}",
                        f"{np.mean(spent):.0f}",
                    )
                )
    header = ("set", "change", "size", "seeds", "test AP", "difference")
    header += ("95% interval", "valid AP", "CPU s of training")
    print(table(rows, header, right=range(2, 9)))


def by_seed(
    lines: list[dict[str, Any]], trick: str, split: str, key: str
) -> dict[int, float]:
    """The AP of a change, by seed, as far as it was tested; `key` is one of those of `tested`."""
    found = {
        line["seed"]: line[split].get(key) for line in lines if line["trick"] == trick
    }
    return {seed: ap for seed, ap in found.items() if ap is not None}


def compared(values: dict[int, float], usual: dict[int, float]) -> tuple[str, str]:
    """The mean of the paired differences, and its interval; empty where there is nothing to compare with."""
    pairs = [values[seed] - usual[seed] for seed in values.keys() & usual.keys()]
    if values == usual or not pairs:
        return ("", "")
    mean = np.mean(pairs)
    if len(pairs) == 1:
        return (f"{mean:+.3f}", "")
    error = np.std(pairs, ddof=1) / math.sqrt(len(pairs))
    half = float(stats.t.ppf(0.975, len(pairs) - 1)) * error
    return (f"{mean:+.3f}", f"{mean - half:+.3f} to {mean + half:+.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--tricks", nargs="+", default=list(TRICKS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--strawberry", type=Path, help="a folder of real photographs")
    parser.add_argument(
        "--sizes", nargs="+", type=float, default=[USUAL_SIZE], help="in the table"
    )
    parser.add_argument(
        "--against", default="defaults", help="what differences are from"
    )
    parser.add_argument("--category", help="whose AP the table shows")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    log = args.folder / "trials.jsonl"
    log.touch()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for seed, name, trick in product(range(args.seeds), args.sets, args.tricks):
        key = {"set": name, "trick": trick, "seed": seed}
        if any(key.items() <= line.items() for line in lines):
            continue
        print(key, flush=True)
        files = files_of(name, args.folder, args.strawberry)
        work = args.folder / f"{name}_{trick}_{seed}".replace(" ", "_")
        work.mkdir(exist_ok=True)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            result = pool.apply(trial, (files, trick, seed, work))
        lines.append({**key, **result})
        with log.open("a") as out:
            out.write(json.dumps(lines[-1]) + "\n")
    wanted = [t for t in lines if t["set"] in args.sets and t["trick"] in args.tricks]
    show(wanted, args.sizes, args.against, args.category)


def files_of(name: str, folder: Path, strawberry: Path | None) -> Files:
    """A set, drawn where it is not yet there."""
    if name == "strawberry":
        if strawberry is None:
            raise SystemExit("strawberry needs --strawberry FOLDER.")
        return Files(strawberry, 256, 48)
    place = folder / "sets" / name
    if not (place / "label.txt").exists():
        SETS[name](place)
    return Files(place, SIZE, 36)


if __name__ == "__main__":
    main()
