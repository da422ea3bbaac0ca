"""Does choosing images pay? A simulated loop on made-up fruit: `choose_next` against random choice.

    python benchmarks/next.py [--seeds 5] [--rounds 4] [--folder results]     (about half an hour of one core)

For each seed, two models start from the same 10 labelled images of a pool. Four times, 10 more are labelled: those that
`choose_next` names, or 10 at random; then a model is trained anew on all that are labelled. Each model is tested on
the same images, which nobody chooses from. The table shows the box AP of both, their paired difference with a 95%
interval (Student's t over the seeds), and how different the chosen images are.

All trainings start from one network that was trained on other pictures in which all fruit was one class: in place of
COCO's weights, which would have to be downloaded. A third of the pool shows nearly what its neighbour shows,
as series of photographs do. With --folder, results are kept there, and a stopped run goes on.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import tempfile
import time
from itertools import chain
from pathlib import Path

import msgspec
import numpy as np
from PIL import Image
from scipy import stats

import cvtk
from cvtk.data import Category, Dataset, read, write
from cvtk.data.images import read_image, write_image
from cvtk.demo import make_demo

MODEL = "rtmdet_tiny_8xb32-300e_coco"
SIZE = 128
START = 10
ADDED = 10
POOL = 90
TEST = 40
EPOCHS = 20
BATCH = 4


def training(folder: Path, name: str, data: Dataset, labels: list[str], **more):
    """A model trained on a data set."""
    file = data.folder / f"{folder.name}_{name}.json"
    write(data, file, force=True)
    model = cvtk.create_model(MODEL, labels=labels, task="det")
    options = {
        "epochs": EPOCHS,
        "batch_size": BATCH,
        "lr": 0.001,
        "seed": 0,
        **more,
    }
    model.train(
        train=file,
        output_weights=folder / f"{name}.pth",
        image_size=SIZE,
        num_workers=0,
        device="cpu",
        force=True,
        **options,
    )
    return model


def pretrain(folder: Path) -> Path:
    """A network that knows fruit, but not which; an earlier one in the folder is used again."""
    weights = folder / "start.pth"
    if weights.exists():
        return weights
    demo = make_demo(
        folder / "other", images=(160, 20, 10), size=(SIZE, SIZE), seed=100
    )
    sets = [read(file) for file in (demo.train, demo.valid)]
    for data in sets:
        data.categories = [Category(1, "fruit")]
        for annotation in data.annotations:
            annotation.category_id = 1
    valid = sets[1].folder / "fruit.json"
    write(sets[1], valid)
    first = {"valid": valid, "weights": "none", "epochs": 14, "batch_size": 8}
    training(folder, "start", sets[0], ["fruit"], lr=0.002, **first)
    return weights


def make_pool(folder: Path, seed: int) -> tuple[Dataset, Path]:
    """The images to choose from, and the file of the test set.

    Every third image is its neighbour, a little brighter: near-duplicates such as series of photographs have.
    """
    demo = make_demo(folder, images=(POOL, 1, TEST), size=(SIZE, SIZE), seed=seed)
    data = read(demo.train)
    by_image = data.by_image()
    for image, neighbour in zip(data.images[2::3], data.images[1::3], strict=True):
        pixels = read_image(data.folder / neighbour.file_name).astype(np.float32)
        brighter = (pixels * 1.04).clip(0, 255).astype(np.uint8)
        path = data.folder / image.file_name
        write_image(Image.fromarray(brighter), path, force=True, quality=92)
        by_image[image.id] = [
            msgspec.structs.replace(annotation, image_id=image.id)
            for annotation in by_image[neighbour.id]
        ]
    data.annotations = [
        msgspec.structs.replace(annotation, id=number)
        for number, annotation in enumerate(chain(*by_image.values()), 1)
    ]
    return data, demo.test


def chosen_by(kind: str, model, data: Dataset, labelled: list[str], seed: int):
    """The names of the images to add."""
    left = [image.file_name for image in data.images if image.file_name not in labelled]
    if kind == "random":
        rng = np.random.default_rng([seed, len(labelled)])
        return [str(name) for name in rng.permutation(left)[:ADDED]]
    names = data.folder / "left.txt"
    names.write_text("\n".join(left) + "\n")
    known = data.folder / "labelled.txt"
    known.write_text("\n".join(labelled) + "\n")
    chosen = model.choose_next(names, ADDED, labelled=known, device="cpu")
    folder = Path("images")
    return [(folder / image.path.name).as_posix() for image in chosen]


def copies(labelled: list[str], data: Dataset) -> int:
    """How many labelled images are near-duplicates of others that are."""
    place = {image.file_name: n for n, image in enumerate(data.images)}
    numbers = {place[name] for name in labelled}
    return sum(n % 3 == 2 and n - 1 in numbers for n in numbers)


def loop(folder: Path, seed: int, rounds: int, start: Path) -> dict[str, list]:
    """AP, objects and near-duplicates of both ways, after each round."""
    data, test = make_pool(folder / "data", seed)
    names = [image.file_name for image in data.images]
    first = [
        str(n) for n in np.random.default_rng([seed, 0]).permutation(names)[:START]
    ]

    def learn(name: str, labelled: list[str]):
        """A model of these images, and the line of the results."""
        chosen = set(labelled)
        part = data.subset(i for i in data.images if i.file_name in chosen)
        model = training(
            folder, name, part, data.class_names, weights=str(start), seed=seed
        )
        metrics = model.evaluate(test, device="cpu")["stats"]
        row = {
            "images": len(labelled),
            "objects": len(part.annotations),
            "copies": copies(labelled, data),
            "ap": metrics["AP@[0.50:0.95|all|100]"],
        }
        print(f"seed {seed}, {name}: {row}", flush=True)
        return model, row

    model, row = learn("start", first)
    found: dict[str, list] = {"next": [row], "random": [row]}
    labelled = {kind: list(first) for kind in found}
    models = dict.fromkeys(found, model)
    for number in range(1, rounds + 1):
        for kind in found:
            added = chosen_by(kind, models[kind], data, labelled[kind], seed)
            labelled[kind] += added
            models[kind], row = learn(f"{kind}{number}", labelled[kind])
            found[kind].append(row)
    return found


def table(results: list[dict[str, list]]) -> None:
    """What came out, per number of labelled images."""
    print(f"\n{len(results)} seeds, {datetime.date.today()}\n")
    print(
        "| labelled images | AP, next | AP, random | difference | 95% interval | better in |"
        " objects, next | random | copies, next | random |"
    )
    print("|---" * 10 + "|")
    for number in range(len(results[0]["next"])):
        rows = {k: [r[k][number] for r in results] for k in ("next", "random")}
        ap = {k: np.array([row["ap"] for row in rows[k]]) for k in rows}
        apart = ap["next"] - ap["random"]
        margin = math.nan
        if len(apart) > 1:
            t = float(stats.t.ppf(0.975, len(apart) - 1))
            margin = t * apart.std(ddof=1) / math.sqrt(len(apart))
        mean = {
            (k, what): np.mean([row[what] for row in rows[k]])
            for k in rows
            for what in ("objects", "copies")
        }
        cells = [
            f"{rows['next'][0]['images']}",
            f"{ap['next'].mean():.3f}",
            f"{ap['random'].mean():.3f}",
            f"{apart.mean():+.3f}",
            f"{apart.mean() - margin:+.3f} to {apart.mean() + margin:+.3f}",
            f"{int((apart > 0).sum())} of {len(apart)}",
            f"{mean['next', 'objects']:.0f}",
            f"{mean['random', 'objects']:.0f}",
            f"{mean['next', 'copies']:.1f}",
            f"{mean['random', 'copies']:.1f}",
        ]
        print(f"| {' | '.join(cells)} |")


def main() -> None:
    """Runs the loops, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--folder", type=Path, help="keeps results between runs")
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        results = []
        for seed in range(options.seeds):
            file = folder / f"seed{seed}.json"
            if not file.exists():
                start = pretrain(folder)
                with tempfile.TemporaryDirectory() as work:
                    found = loop(Path(work), seed, options.rounds, start)
                file.write_text(json.dumps(found))
            results.append(json.loads(file.read_text()))
    table(results)
    print(f"\nin {(time.monotonic() - started) / 60:.0f} minutes")


if __name__ == "__main__":
    main()
