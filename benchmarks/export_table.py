"""Which architectures can be exported: docs/export-table.md, by trial.

Each is made from scratch, trained for an epoch on a few small made-up images, and exported, which compares what the
file finds with what the weights find. `python benchmarks/export_table.py NAME ...` tries some of them anew.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import cvtk
from cvtk.demo import make_demo
from cvtk.engine.export.trial import require_same_results
from cvtk.errors import CvtkError, one_line

PAGE = Path(__file__).parents[1] / "docs" / "export-table.md"
HEAD = """# Which architectures can be exported

Made by `benchmarks/export_table.py`, not by hand: each is trained from scratch for one epoch on four made-up images
(128 pixels), and exported. Then the objects that the weights find in two made-up pictures, in each the ten with the
best scores, are looked for among those of the exported file: 80% of them must be there, with the same class, about the
same score, and an IoU of at least 0.95. A network that has learned so little may find nothing that can be compared:
then it is only known that the file is written and runs.

| architecture | tried | exported |
|---|---|---|
"""
TRIED = {
    "RTMDet-Ins": ("segm", "rtmdet-ins_tiny_8xb32-300e_coco"),
    "Mask R-CNN": ("segm", "mask-rcnn_r50_fpn_1x_coco"),
    "Cascade Mask R-CNN": ("segm", "cascade-mask-rcnn_r50_fpn_1x_coco"),
    "Mask Scoring R-CNN": ("segm", "ms-rcnn_r50-caffe_fpn_1x_coco"),
    "PointRend": ("segm", "point-rend_r50-caffe_fpn_ms-1x_coco"),
    "SOLOv2": ("segm", "solov2-light_r18_fpn_ms-3x_coco"),
    "YOLACT": ("segm", "yolact_r50_1xb8-55e_coco"),
    "CondInst": ("segm", "condinst_r50_fpn_ms-poly-90k_coco_instance"),
    "Mask2Former": ("segm", "mask2former_r50_8xb2-lsj-50e_coco"),
    "RTMDet": ("det", "rtmdet_tiny_8xb32-300e_coco"),
    "YOLOX": ("det", "yolox_tiny_8xb8-300e_coco"),
    "Faster R-CNN": ("det", "faster-rcnn_r50_fpn_1x_coco"),
    "Cascade R-CNN": ("det", "cascade-rcnn_r50_fpn_1x_coco"),
    "RetinaNet": ("det", "retinanet_r50_fpn_1x_coco"),
    "FCOS": ("det", "fcos_r50-caffe_fpn_gn-head_1x_coco"),
    "ATSS": ("det", "atss_r50_fpn_1x_coco"),
}


def main():
    rows = read_rows()
    names = [name for name in TRIED if not sys.argv[1:] or name in sys.argv[1:]]
    for name in names:
        task, model = TRIED[name]
        start = time.monotonic()
        answer = trial(model, task)
        rows[name] = f"| {name} | `{model}` | {answer} |"
        print(f"{time.monotonic() - start:5.0f} s  {rows[name]}", flush=True)
        text = "\n".join(rows[each] for each in TRIED if each in rows)
        PAGE.write_text(f"{HEAD}{text}\n", encoding="utf-8")


def read_rows():
    """The rows of the page as it is, by architecture."""
    if not PAGE.exists():
        return {}
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    return {
        line.split(" | ")[0].removeprefix("| "): line for line in lines if "`" in line
    }


def trial(model, task):
    """Trains and exports an architecture; whether that works, in words."""
    with tempfile.TemporaryDirectory() as folder:
        files = make_demo(Path(folder) / "data", images=(4, 1, 1), size=(128, 96))
        weights = Path(folder) / "a.pth"
        network = cvtk.create_model(model, labels=files.label, task=task)
        network.train(
            files.train,
            output_weights=weights,
            epoch=1,
            batch_size=2,
            num_workers=0,
            image_size=128,
            weights="none",
            device="cpu",
        )
        try:
            network.export("onnx")
            exported = weights.with_suffix(".onnx")
            compared = len(require_same_results(network.spec, exported))
        except CvtkError as error:
            text = one_line(error).replace(str(weights), "it")
            text = text.partition(": ")[2].partition(" See docs/")[0] or text
            return f"no. {text}"
    if not compared:
        return "yes; nothing found to compare"
    return f"yes; {compared} objects compared"


if __name__ == "__main__":
    main()
