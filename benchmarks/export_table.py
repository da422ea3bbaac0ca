"""Which architectures can be exported: docs/export-table.md, by trial; one of each family.

    python benchmarks/export_table.py                  # those that the page does not have yet
    python benchmarks/export_table.py NAME ...         # these models anew

Each is made with random weights, which costs no training, or else a short one, and exported as ONNX. What the
file finds in made-up pictures is compared with what the weights find. Each runs in a process of its own, with a limit
of time and memory. Stopped, it goes on where it was: what is done stands in the page.
"""

from __future__ import annotations

import copy
import dataclasses
import importlib
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cvtk import zoo
from cvtk.engine.spec import ModelSpec
from cvtk.words import counted
from zoo import EXPORTS, add_exports, candidates, in_process, replace

HEAD = """# Which architectures can be exported

Made by `make zoo` (`benchmarks/export_table.py`), not by hand: of each family of models in MMDetection's index, the
lightest entry is built with random weights, for pictures of 128 pixels (DINO 256, SSD of PISA 300), and exported as
ONNX. Then the objects that the weights find in two made-up pictures, in each the ten with the best scores, are looked
for among those of the exported file: with the same class, about the same score, and an IoU as given here, the lower one
of masks and boxes. 80% of them must be there with an IoU of at least 0.95, and the file must run on a picture in which
nothing is found. Where they are not, the model is trained from scratch for a few epochs on four made-up images, and
tried once more. RTMDet-Ins, which then still finds nothing there, was compared on
[photographs](export.md#what-it-saves). Rows with a "mask IoU" are older: boxes were not compared, nor was a picture
tried in which nothing is found. For these rows of boxes, it was not tried either: RetinaNet with ResNet, SSDLite,
YOLOF, YOLOX and YOLOv3.

Where not all have an IoU of at least 0.99, two cases were looked into. In the first Mask R-CNN of the table, boxes in
the padding, where all pixels are the same, have exactly the same score; which of them suppresses the others depends on
how equal numbers are sorted, and in one picture one of ten objects is another for that. All others have an IoU of 1.
In QueryInst and Sparse R-CNN, each of six stages goes on with the boxes of the one before, and with random weights the
last digit decides: PyTorch itself, once with oneDNN and once without, finds 55% and 70% of the objects again with an IoU
of at least 0.99.
"""
TASKS = {"segm": "Masks", "det": "Boxes"}
# Beside the lightest of its family, what people use most.
MORE = (
    "faster-rcnn_r50_fpn_1x_coco",
    "cascade-rcnn_r50_fpn_1x_coco",
    "retinanet_r50_fpn_1x_coco",
    "cascade-rpn_faster-rcnn_r50-caffe_fpn_1x_coco",  # the lightest takes the boxes of another network
)
SIZE = 128  # pixels
# What needs more, for 900 queries, or has a size of its own.
SIZES = {"dino-4scale_r50_8xb2-12e_coco": 256, "ssd300_pisa_coco": 300}
LIMIT = 300  # seconds of a processor
# Standard deviations of what layers give: of classes, before sigmoid or softmax; of distances, in strides, to the
# sides of boxes.
SPREADS = {"cls": 1.5, "rtm_reg": 4.0}


def main() -> None:
    import torch

    for module in ("mmdet.models", "mmdet.datasets", "mmengine.runner", "onnxruntime"):
        importlib.import_module(module)  # for all forks at once
    torch.set_num_threads(1)  # what a fork can rely on
    rows = read_rows()
    chosen = entries()
    for task, listed in chosen.items():
        for entry in listed:
            if (
                entry.name in rows
                if not sys.argv[1:]
                else entry.name not in sys.argv[1:]
            ):
                continue
            start = time.monotonic()
            answer = in_process(trial, entry.name, task, limit=LIMIT)
            rows[entry.name] = answer.get("exported") or f"not known: {answer['error']}"
            print(
                f"{time.monotonic() - start:5.0f} s  {entry.name}: {rows[entry.name]}",
                flush=True,
            )
            write_page(rows, chosen)


def entries() -> dict[str, list]:
    """What is to be tried, by task."""
    by_family: dict[str, object] = {}
    for entry in candidates("det"):
        best = by_family.get(entry.family)
        if best is None or (entry.params or 1e9) < (best.params or 1e9):
            by_family[entry.family] = entry
    more = [zoo.find(name, "det") for name in MORE]
    boxes = {entry.name: entry for entry in (*by_family.values(), *more)}
    return {
        "segm": candidates("segm"),
        "det": sorted(boxes.values(), key=lambda e: (e.family, e.name)),
    }


def read_rows() -> dict[str, str]:
    """The answers of the page as it is, by model."""
    lines = EXPORTS.read_text(encoding="utf-8").splitlines()
    cells = [line.strip("| ").split(" | ") for line in lines if "| `" in line]
    return {row[1].strip("`"): row[2] for row in cells if len(row) == 3}


def write_page(rows: dict[str, str], chosen: dict[str, list]) -> None:
    text = HEAD
    for task, title in TASKS.items():
        text += f"\n## {title}\n\n| family | tried | exported |\n|---|---|---|\n"
        for entry in chosen[task]:
            if entry.name in rows:
                answer = rows[entry.name].replace("|", "/")
                text += f"| {entry.family} | `{entry.name}` | {answer} |\n"
    replace(EXPORTS, text)
    add_exports()


def trial(name: str, task: str) -> dict[str, str]:
    """Exports an architecture with random weights, or else after a short training; whether that works, in words."""
    from cvtk.errors import ModelError, one_line

    for make, how in ((with_random_weights, ""), (trained, " of a short training")):
        with tempfile.TemporaryDirectory() as folder:
            try:
                spec = make(name, task, Path(folder))
            except Exception as error:  # not what is tried: a package, an option, ...
                why = one_line(error)
                if isinstance(error, OSError):
                    why = (
                        "it begins with files that must be downloaded, and could not be"
                    )
                return {"exported": f"not tried, for it cannot be built here: {why}"}
            try:
                ious = compared(spec)
            except ModelError as error:
                text = one_line(error).replace(str(spec.weights), "it")
                text = text.partition("cannot be exported: ")[2] or text
                answer = f"no. {text.partition(' See docs/')[0]}"
                if "finds nothing in the picture" in text:
                    answer = "not known: with such weights it finds nothing at all"
                elif "in a trial" not in text:
                    break
                continue
        if len(ious):
            share = f"{100 * np.mean(ious >= 0.99):.0f}% with an IoU of at least 0.99"
            return {"exported": f"yes; {counted(len(ious), 'object')}{how}, {share}"}
        answer = "written, and runs; nothing found to compare"
    return {"exported": answer}


def compared(spec: ModelSpec) -> NDArray[np.float64]:
    """Exports a model; the IoU of what the file finds in place of each object that the weights find.

    Raises:
        ModelError: It cannot be exported, or finds something else.
    """
    from cvtk.engine.export.export import write
    from cvtk.engine.export.trial import require_same_results
    from cvtk.exported.options import ExportOptions

    file = spec.weights.with_suffix(".onnx")
    write(spec, ExportOptions(), file)
    return require_same_results(spec, file)


def trained(name: str, task: str, folder: Path) -> ModelSpec:
    """A model trained from scratch for a few epochs on four images."""
    import cvtk
    from cvtk.demo import make_demo

    size = SIZES.get(name, SIZE)
    files = make_demo(folder / "data", images=(4, 1, 1), size=(size, size * 3 // 4))
    model = cvtk.create_model(name, labels=files.label, task=task)
    model.train(
        files.train,
        output_weights=folder / "a.pth",
        epoch=8,
        lr=0.002,
        batch_size=2,
        num_workers=0,
        image_size=size,
        weights="none",
        device="cpu",
    )
    return model.spec


def with_random_weights(name: str, task: str, folder: Path) -> ModelSpec:
    """A model as if it had been trained: random weights, and their configuration."""
    import torch
    from mmdet.registry import MODELS
    from mmengine.registry import init_default_scope

    from cvtk.demo import make_demo
    from cvtk.engine.configure import configure
    from cvtk.engine.export.trial import pictures
    from cvtk.engine.spec import make_spec, open_weights
    from cvtk.engine.train import set_start
    from cvtk.engine.training_data import prepare_data
    from cvtk.errors import OptionError
    from cvtk.options import TrainOptions

    size = SIZES.get(name, SIZE)
    with_poses = name.startswith("pose2seg")
    files = make_demo(
        folder / "data",
        images=(2, 1, 1),
        size=(size, size * 3 // 4),
        poses=with_poses,
    )
    spec = make_spec(name, files.label, task, False)
    weights = folder / "a.pth"
    options = TrainOptions(
        train=files.train,
        output_weights=weights,
        image_size=size,
        batch_size=2,
        weights="none",
        device="cpu",
    )
    try:
        cfg = configure(spec, prepare_data(spec, options), options, "cpu")
    except OptionError:  # CornerNet and the like take images as large as they are
        options = dataclasses.replace(options, image_size=None)
        cfg = configure(spec, prepare_data(spec, options), options, "cpu")
    set_start(cfg, spec, options)
    init_default_scope("mmdet")
    torch.manual_seed(0)
    network = MODELS.build(copy.deepcopy(cfg.model))  # some change it
    network.init_weights()
    with torch.no_grad():
        settle(network, pictures(folder), size)
    cfg.dump(weights.with_suffix(".py"))
    torch.save({"meta": {}, "state_dict": network.state_dict()}, weights)
    return open_weights(weights)


def settle(network: object, files: list[Path], size: int) -> None:
    """Lets random weights find objects that can be told apart.

    Layers of normalization see values once, so that those behind them are as large as after a training. Then the layers
    that give the scores of classes are made larger or smaller, so that scores neither are all the same, nor all 1.
    """
    import torch
    from mmdet.structures import DetDataSample

    images = [np.asarray(Image.open(file).resize((size, size))) for file in files]
    shape = {"img_shape": (size, size), "pad_shape": (size, size)}
    prepared = network.data_preprocessor(
        {
            "inputs": [
                torch.tensor(image).permute(2, 0, 1).flip(0) for image in images
            ],
            "data_samples": [DetDataSample(metainfo=shape) for _ in images],
        }
    )
    norms = [m for m in network.modules() if hasattr(m, "running_mean")]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    seen: dict[object, list[float]] = {}
    wanted: dict[object, float] = {}

    def note(module: object, _: object, output: torch.Tensor) -> None:
        seen.setdefault(module, []).append(float(output.std()))

    for path, module in network.named_modules():
        parts = [part for part in path.split(".") if not part.isdigit()]
        for name, spread in SPREADS.items():
            if parts and name in parts[-1] and hasattr(module, "weight"):
                wanted[module] = spread
                module.register_forward_hook(note)
    network.train()
    try:
        network.forward(prepared["inputs"], prepared["data_samples"], "tensor")
    except Exception:  # it serves the trial, and is not what is tried
        network.backbone(prepared["inputs"])
    for norm, momentum in zip(norms, before, strict=True):
        norm.momentum = momentum
    for module, deviations in seen.items():
        module.weight *= wanted[module] / max(*deviations, 1e-6)


if __name__ == "__main__":
    main()
