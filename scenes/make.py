"""Makes the weights that `--weights scenes` starts from: RTMDet-Ins tiny, trained on drawn scenes alone.

    python scenes/make.py --folder work [--scenes 3000] [--epochs 7]

Draws scenes (`draw.py`) to `work/train` and `work/valid`, trains on them by cvtk's own recipe from scratch, and writes
`work/rtmdet-ins_tiny.pth`: the weights in half precision, without the layers that know the classes of the scenes. Put
that file into the folder `drawn_scenes`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np

from cvtk.demo.dataset import annotation
from draw import CLASSES, scene

SIZE = (320, 256)  # pixels of a scene: width, height
INPUT = 256  # pixels of what the network learns from
MODEL = "rtmdet-ins_tiny"
SPLITS = {"train": 1, "valid": 2}  # and the first part of the seeds of their scenes


def main() -> None:
    """Draws what is not drawn yet, and trains."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--scenes", type=int, default=3000)
    parser.add_argument("--epochs", type=int, default=7)
    args = parser.parse_args()
    for split, count in (("train", args.scenes), ("valid", 100)):
        if not (args.folder / split / "segm.json").exists():
            draw_set(args.folder / split, SPLITS[split], count)
    labels = args.folder / "label.txt"
    labels.write_text("\n".join(CLASSES) + "\n")
    train(args.folder, labels, args.epochs)
    pack(args.folder / "trained.pth", args.folder / "rtmdet-ins_tiny.pth")


def draw_set(folder: Path, seed: int, count: int) -> None:
    """Draws scenes, and writes their annotations."""
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(folder, seed, number) for number in range(1, count + 1)]
    with multiprocessing.Pool() as pool:
        found = pool.starmap(draw_one, jobs, chunksize=20)
    images, annotations = [], []
    for number, objects in enumerate(found, 1):
        size = {"width": SIZE[0], "height": SIZE[1]}
        images.append({"id": number, "file_name": f"{number:05d}.jpg", **size})
        for item in objects:
            ids = {"id": len(annotations) + 1, "image_id": number}
            annotations.append({**ids, **item})
    categories = [{"id": i, "name": name} for i, name in enumerate(CLASSES, 1)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "segm.json").write_text(json.dumps(document))


def draw_one(folder: Path, seed: int, number: int) -> list[dict[str, Any]]:
    """Draws one scene; its annotations, without their ids."""
    image, objects = scene(np.random.default_rng([seed, number]), SIZE)
    image.save(folder / f"{number:05d}.jpg", quality=90)
    return [annotation(mask, kind + 1, crowd=False, packed=True) for kind, mask in objects]  # fmt: skip


def train(folder: Path, labels: Path, epochs: int) -> None:
    """Trains on the scenes."""
    import cvtk

    cvtk.create_model(MODEL, labels=labels, task="segm").train(
        folder / "train" / "segm.json",
        folder / "valid" / "segm.json",
        output_weights=folder / "trained.pth",
        epochs=epochs,
        batch_size=4,
        image_size=INPUT,
        weights="none",
        num_workers=0,
        device="cpu",
        force=True,
    )


def pack(trained: Path, file: Path) -> None:
    """Writes what another training can start from, in half precision but for the few numbers of normalization."""
    import torch

    state = torch.load(trained, weights_only=True)["state_dict"]
    kept = {
        name: value.half() if value.ndim > 1 else value
        for name, value in state.items()
        if ".rtm_cls." not in name
    }
    torch.save({"state_dict": kept}, file)


if __name__ == "__main__":
    main()
