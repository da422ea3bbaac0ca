"""COCO metrics, overall and by class, from one pass of the evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def coco_stats(
    truth: str | Path,
    predictions: list[dict[str, Any]],
    iou_type: str,
    evaluator: Any = COCOeval,
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """The twelve numbers of pycocotools: the means over the classes, and by class."""
    keys = """AP@[0.50:0.95|all|100] AP@[0.50|all|1000] AP@[0.75|all|1000]
        AP@[0.50:0.95|small|1000] AP@[0.50:0.95|medium|1000] AP@[0.50:0.95|large|1000]
        AR@[0.50:0.95|all|100] AR@[0.50:0.95|all|300] AR@[0.50:0.95|all|1000]
        AR@[0.50:0.95|small|1000] AR@[0.50:0.95|medium|1000] AR@[0.50:0.95|large|1000]"""
    hidden = "bbox" if iou_type == "segm" else ""  # else the area of the box counts
    predictions = [{k: p[k] for k in p if k != hidden} for p in predictions]
    coco = COCO(str(truth))
    found = coco.loadRes(predictions) if predictions else COCO()
    run = evaluator(coco, found, iou_type)
    run.params.catIds, run.params.maxDets = list(coco.cats), [100, 300, 1000]
    run.evaluate()
    run.accumulate()
    precision, recall = run.eval["precision"], run.eval["recall"]

    def summary(classes: slice) -> dict[str, float]:
        run.eval = {"precision": precision[:, :, classes], "recall": recall[:, classes]}
        run.summarize()
        return dict(zip(keys.split(), run.stats.tolist(), strict=True))

    rows = [(sorted(coco.cats).index(i), c["name"]) for i, c in coco.cats.items()]
    by_class = {name: summary(slice(k, k + 1)) for k, name in rows}  # rows go by id
    return summary(slice(None)), by_class


def fast_evaluator() -> Any:
    """Pycocotools' evaluation with the arithmetic of faster-coco-eval, where that is.

    The arrays of precision and recall agree with pycocotools' to rounding; it takes a
    fraction of the time (benchmarks/evaluation.py).
    """
    try:
        from faster_coco_eval import COCO as FastCOCO
        from faster_coco_eval import COCOeval_faster
    except ImportError:
        return COCOeval

    class FastCOCOeval(COCOeval):  # type: ignore[misc]
        def evaluate(self) -> None:
            """All is done in `accumulate`."""

        def accumulate(self, p: Any = None) -> None:
            truth, found = FastCOCO(), FastCOCO()
            for fast, slow in ((truth, self.cocoGt), (found, self.cocoDt)):
                fast.dataset = slow.dataset
                fast.createIndex()
            fast = COCOeval_faster(
                truth, found, self.params.iouType, print_function=str
            )
            fast.params.catIds = self.params.catIds
            fast.params.maxDets = self.params.maxDets
            fast.evaluate()
            fast.accumulate()
            self.eval = fast.eval

    return FastCOCOeval
