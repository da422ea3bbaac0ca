"""Ultralytics' YOLO beside cvtk: the same images and minutes of training, the same evaluation.

    python benchmarks/peer.py --data FOLDER [--seeds 3] [--weights none ...] [--folder work] [--peer_python .../python]

FOLDER has `label.txt`, and `train`, `valid` and `test`, each with `segm.json`. For each seed, cvtk trains RTMDet-Ins
tiny by its defaults but for the image size, the epochs and what it starts from (--weights, of cvtk). Then YOLO11n-seg
trains from scratch, by Ultralytics' defaults, as many seconds as the first of these took of a processor. Each is a
process of its own with as many threads, and no other that reads images; the peer's clock is that of the wall, so
nothing else should run beside it. The best epoch of each is chosen by itself, on the validation
images. All objects that it finds in the test images are written with masks at the size of the image, 100 an image, the
lowest score as each has it for evaluations, and are given to the same call of pycocotools.

YOLO predicts at the size of its training, as it does by default, and at 4/3 of it, which is what cvtk does by default.

Ultralytics' package (AGPL-3.0) is installed into an environment of its own, below --folder, unless --peer_python names a
Python that has it. Nothing of it is in cvtk. Trainings that are done stand in `work/trials.jsonl`, and are not done
again.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import cvtk
from accuracy import compared
from cvtk.data.convert import convert
from cvtk.tables import table

MODEL = "rtmdet-ins_tiny"
PEER = "yolo11n-seg"
SPLITS = ("train", "valid", "test")
METRICS = ("AP", "AP50", "AP75")

CVTK = """
import json, sys
import torch
import cvtk

if __name__ == "__main__":
    task = json.loads(sys.argv[1])
    torch.set_num_threads(task["threads"])
    model = cvtk.create_model(task["model"], labels=task["labels"], task="segm")
    model.train(**task["train"])
"""

YOLO = """
import json, sys
from pathlib import Path
import numpy as np
import torch
import ultralytics
from pycocotools import mask as api
from ultralytics import YOLO

def found(model, image, size):
    result = model.predict(
        image["file"], imgsz=size, conf=0.001, max_det=100, retina_masks=True, device="cpu", verbose=False
    )[0]
    if result.masks is None:
        return []
    objects = []
    for mask, box in zip(result.masks.data.cpu().numpy(), result.boxes, strict=True):
        packed = api.encode(np.asfortranarray(mask.astype(np.uint8)))
        packed["counts"] = packed["counts"].decode()
        category = task["categories"][result.names[int(box.cls)]]
        objects.append({
            "image_id": image["id"], "category_id": category, "score": float(box.conf), "segmentation": packed
        })
    return objects

if __name__ == "__main__":
    task = json.loads(sys.argv[1])
    torch.set_num_threads(task["threads"])
    model = YOLO(task["model"])
    model.train(**task["train"])
    trained = YOLO(Path(task["train"]["project"], task["train"]["name"], "weights", "best.pt"))
    for size in task["sizes"]:
        for split, images in task["images"].items():
            objects = [one for image in images for one in found(trained, image, size)]
            Path(task["output"], f"{split}_{size}.json").write_text(json.dumps(objects))
    print(ultralytics.__version__)
"""


def average_precision(truth: Path, found: Path) -> dict[str, float]:
    """The mask AP, by pycocotools, of a file of COCO results."""
    objects = json.loads(found.read_text())
    if not objects:
        return dict.fromkeys(METRICS, 0.0)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = json.loads(truth.read_text())
        # pycocotools counts whoever finds the annotation 0 as wrong.
        for number, item in enumerate(coco.dataset["annotations"], 1):
            item["id"] = number
        coco.createIndex()
        judge = COCOeval(coco, coco.loadRes(objects), "segm")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return dict(zip(METRICS, map(float, judge.stats[:3]), strict=True))


def in_a_process(
    python: Path, program: str, task: dict[str, Any], log: Path
) -> tuple[str, float]:
    """Runs a program with a task; the last line that it prints, and the seconds of a processor that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    threads = str(task["threads"])
    surroundings = {"OMP_NUM_THREADS": threads, "YOLO_OFFLINE": "true"}
    script = log.with_suffix(".py")
    script.write_text(program)
    with log.open("w") as errors:
        done = subprocess.run(
            [str(python), str(script), json.dumps(task)],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            check=False,
            env={**os.environ, **surroundings},
        )
    if done.returncode:
        sys.exit(f"{python} failed; see {log}.")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return (done.stdout.strip().splitlines() or [""])[-1], seconds


def with_cvtk(args: argparse.Namespace, weights: str, seed: int) -> dict[str, Any]:
    """Trains with cvtk; the seconds, and the AP by size."""
    name = f"cvtk_{Path(weights).stem}_{seed}"
    output = args.folder / name / "model.pth"
    output.parent.mkdir(exist_ok=True)
    sets = {split: str(args.data / split / "segm.json") for split in SPLITS[:2]}
    train = {
        **sets,
        "output_weights": str(output),
        "epochs": args.epochs,
        "image_size": args.size,
        "weights": weights,
        "seed": seed,
        "num_workers": 0,
        "device": "cpu",
        "force": True,
    }
    task = {
        "model": MODEL,
        "labels": str(args.data / "label.txt"),
        "threads": args.threads,
        "train": train,
    }
    log = args.folder / f"{name}.log"
    _, seconds = in_a_process(Path(sys.executable), CVTK, task, log)
    ap = {}
    for split in SPLITS[1:]:
        truth, found = args.data / split / "segm.json", output.parent / split
        model = cvtk.create_model(output)
        model.evaluate(truth, output=found, device="cpu", force=True)
        ap[split] = average_precision(truth, found / "test_outputs.coco.json")
    found = {"as cvtk does": ap}
    return {"seconds": seconds, "ap": found, "version": cvtk.__version__}


def with_yolo(args: argparse.Namespace, seed: int, seconds: float) -> dict[str, Any]:
    """Trains the peer as many seconds; the seconds, and the AP by size."""
    output = args.folder / f"yolo_{seed}"
    output.mkdir(exist_ok=True)
    images = {split: images_of(args.data / split / "segm.json") for split in SPLITS[1:]}
    document = json.loads((args.data / "test" / "segm.json").read_text())
    sizes = [args.size, round(args.size * 4 / 3 / 32) * 32]
    train = {
        "data": str(yolo_files(args)),
        "imgsz": args.size,
        "time": seconds / 3600,
        "seed": seed,
        "workers": 0,
        "device": "cpu",
        "plots": False,
        "project": str(output),
        "name": "run",
        "exist_ok": True,
    }
    task = {
        "model": f"{PEER}.yaml",
        "threads": args.threads,
        "train": train,
        "images": images,
        "categories": {c["name"]: c["id"] for c in document["categories"]},
        "sizes": sizes,
        "output": str(output),
    }
    log = args.folder / f"yolo_{seed}.log"
    version, taken = in_a_process(args.peer_python, YOLO, task, log)
    found = {
        f"{size} pixels": {
            split: average_precision(
                args.data / split / "segm.json", output / f"{split}_{size}.json"
            )
            for split in SPLITS[1:]
        }
        for size in sizes
    }
    return {"seconds": taken, "ap": found, "version": version}


def images_of(truth: Path) -> list[dict[str, Any]]:
    """The ids and files of a set's images."""
    images = json.loads(truth.read_text())["images"]
    return [{"id": i["id"], "file": str(truth.parent / i["file_name"])} for i in images]


def yolo_files(args: argparse.Namespace) -> Path:
    """The images and annotations in the peer's format; its `data.yaml`."""
    folder = args.folder / "yolo_data"
    for split in SPLITS[:2]:
        if not (folder / split / "data.yaml").exists():
            convert(args.data / split / "segm.json", folder / split, target_format="yolo")  # fmt: skip
    written = yaml.safe_load((folder / "train" / "data.yaml").read_text())
    sets = {"train": "train/images/train", "val": "valid/images/train"}
    about = {"path": str(folder.resolve()), **sets, "names": written["names"]}
    file = folder / "data.yaml"
    file.write_text(yaml.safe_dump(about))
    return file


def install_peer(folder: Path) -> Path:
    """An environment with the peer in it; its Python."""
    python = folder / "peer-env" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder / "peer-env"], check=True)
        wanted = ["torch", "torchvision", "ultralytics", "pycocotools"]
        subprocess.run([python, "-m", "pip", "install", "-q", *wanted], check=True)
    return python


def show(lines: list[dict[str, Any]]) -> None:
    """Means over the seeds, and the differences of the same seeds from the first way, with 95% intervals."""
    rows = []
    usual = {split: by_seed(lines, lines[0]["way"], split) for split in SPLITS[1:]}
    for way in dict.fromkeys(line["way"] for line in lines):
        trials = [line for line in lines if line["way"] == way]
        for size in trials[0]["ap"]:
            aps = [trial["ap"][size] for trial in trials]
            values = np.array([[ap["test"][m] for m in METRICS] for ap in aps])
            valid = f"{np.mean([ap['valid']['AP'] for ap in aps]):.3f}"
            spread = f"{values[:, 0].min():.3f} to {values[:, 0].max():.3f}"
            means = [f"{value:.3f}" for value in values.mean(0)]
            minutes = np.mean([t["seconds"] for t in trials]) / 60
            version = trials[0]["version"]
            differences = [
                " ".join(compared(by_seed(trials, way, split, size), usual[split]))
                for split in SPLITS[1:]
            ]
            rows.append([way, version, size, len(trials), f"{minutes:.1f}", means[0], spread, *means[1:], valid, *differences])  # fmt: skip
    header = ("way", "version", "predicted at", "seeds", "CPU minutes", "test AP", "of the seeds")  # fmt: skip
    header += ("AP50", "AP75", "valid AP", "valid difference", "test difference")
    print(table(rows, header, right=range(3, 12)))


def by_seed(
    lines: list[dict[str, Any]], way: str, split: str, size: str | None = None
) -> dict[int, float]:
    """The AP of a way, by seed; at the first size that it predicts where none is named."""
    return {
        line["seed"]: line["ap"][size or next(iter(line["ap"]))][split]["AP"]
        for line in lines
        if line["way"] == way
    }


class Trials:
    """What was trained, as lines of a file."""

    def __init__(self, log: Path) -> None:
        self.log = log
        log.touch()
        self.lines = [json.loads(line) for line in log.read_text().splitlines()]

    def done(
        self, way: str, seed: int, train: Callable[..., dict[str, Any]], *given: Any
    ) -> dict[str, Any]:
        """The line of a training, which is done now where it is not in the file."""
        key = {"way": way, "seed": seed}
        for line in self.lines:
            if key.items() <= line.items():
                return line
        self.lines.append({**key, **train(*given)})
        with self.log.open("a") as out:
            out.write(json.dumps(self.lines[-1]) + "\n")
        print(self.lines[-1], file=sys.stderr, flush=True)
        return self.lines[-1]


def main() -> None:
    """Trains all that is not done, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folder", type=Path, default=Path("peer"))
    parser.add_argument("--peer_python", type=Path)
    parser.add_argument("--weights", nargs="+", default=["none"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--peer_seeds", type=int, help="of the peer, in place of all")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=48)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    args.folder = args.folder.resolve()
    if args.peer_python is None and args.peer_seeds != 0:
        args.peer_python = install_peer(args.folder)
    trials = Trials(args.folder / "trials.jsonl")
    for seed in range(args.seeds):
        ours = [
            trials.done(f"cvtk, {Path(w).stem}", seed, with_cvtk, args, w, seed)
            for w in args.weights
        ]
        if args.peer_seeds is None or seed < args.peer_seeds:
            trials.done(PEER, seed, with_yolo, args, seed, ours[0]["seconds"])
    count = len(json.loads((args.data / "test" / "segm.json").read_text())["images"])
    print(
        f"Mask AP on {count} test images of {args.data.name}; {args.size} pixels, from scratch where not said"
        f" otherwise, {args.threads} threads, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}"
    )
    show(trials.lines)


if __name__ == "__main__":
    main()
