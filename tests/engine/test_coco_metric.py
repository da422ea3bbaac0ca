"""Validation gives MMDetection's numbers under its names, and what that one does not say."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import tracemalloc

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs PyTorch")
pytest.importorskip("mmdet", reason="needs MMDetection")

import torch
from mmdet.evaluation import CocoMetric
from mmdet.structures import DetDataSample
from mmengine.evaluator import Evaluator
from mmengine.logging import MessageHub
from mmengine.structures import InstanceData

from cvtk.engine.coco_metric import CLASS_METRICS, CvtkCocoMetric
from cvtk.errors import DataError, OptionError
from cvtk.io import encode_mask

HEIGHT, WIDTH = 120, 160
CLASSES = ("leaf", "stem", "root")  # the order of the labels; their ids go another way
IDS = {"leaf": 9, "stem": 2, "root": 5}
NAMES = ("mAP", "mAP_50", "mAP_75", "mAP_s", "mAP_m", "mAP_l")


def bitmap(x, y, w, h):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y : y + h, x : x + w] = True
    mask[y, x] = False  # so that mask and box differ
    return mask


def write(folder, objects, images=(1, 2, 3)):
    """A COCO file of (image, class, x, y, width, height, is_crowd)."""
    annotations = []
    for number, (image, name, x, y, w, h, crowd) in enumerate(objects, 1):
        annotations.append(
            {
                "id": number,
                "image_id": image,
                "category_id": IDS[name],
                "bbox": [x, y, w, h],
                "area": w * h - 1,
                "iscrowd": int(crowd),
                "segmentation": encode_mask(bitmap(x, y, w, h)),
            }
        )
    content = {
        "images": [
            {"id": i, "file_name": f"{i}.jpg", "width": WIDTH, "height": HEIGHT}
            for i in images
        ],
        "categories": [{"id": IDS[name], "name": name} for name in CLASSES],
        "annotations": annotations,
    }
    file = folder / "valid.json"
    file.write_text(json.dumps(content))
    return str(file)


def sample(image, found, **more):
    """What a model returns of an image: (class, x, y, width, height, score) each."""
    boxes = [(x, y, x + w + 0.25, y + h) for _, x, y, w, h, _ in found]
    instances = InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor([CLASSES.index(f[0]) for f in found], dtype=torch.long),
        scores=torch.tensor([f[5] for f in found], dtype=torch.float32),
        masks=torch.from_numpy(
            np.array([bitmap(*f[1:5]) for f in found]).reshape(-1, HEIGHT, WIDTH)
        ),
        **more,
    )
    result = DetDataSample(pred_instances=instances)
    result.set_metainfo({"img_id": image, "ori_shape": (HEIGHT, WIDTH)})
    return result


def random_case(folder, seed):
    rng = np.random.default_rng(seed)
    objects, samples = [], []
    for image in (1, 2, 3):
        found = []
        for _ in range(10):
            w, h = rng.choice([8, 25, 50, 100], 2)
            x, y = int(rng.integers(0, WIDTH - w)), int(rng.integers(0, HEIGHT - h))
            name = str(rng.choice(["leaf", "stem"]))
            objects.append((image, name, x, y, int(w), int(h), rng.random() < 0.1))
            for _ in range(rng.integers(0, 3)):
                near = max(0, x + int(rng.integers(-3, 4)))
                told = name if rng.random() < 0.8 else str(rng.choice(CLASSES))
                score = round(float(rng.random()), 1)
                found.append((told, near, y, int(w), int(h), score))
        samples.append(sample(image, found))
    return write(folder, objects), samples


def evaluate(metric, samples):
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = {"classes": CLASSES}
    for one in samples:
        evaluator.process([one])
    return evaluator.evaluate(len(samples))


def mmdet_metric(file, **more):
    with contextlib.redirect_stdout(io.StringIO()):
        return CocoMetric(ann_file=file, metric=["bbox", "segm"], **more)


@pytest.mark.parametrize("seed", range(4))
def test_names_and_numbers_are_mmdetections(seed, tmp_path):
    file, samples = random_case(tmp_path, seed)
    config = {
        "type": "mmdet.CvtkCocoMetric",
        "ann_file": file,
        "metric": ["bbox", "segm"],
    }
    ours = evaluate(config, samples)
    theirs = evaluate(mmdet_metric(file), samples)
    assert ours == theirs
    assert list(ours) == [f"coco/{k}_{n}" for k in ("bbox", "segm") for n in NAMES]
    assert 0.05 < ours["coco/segm_mAP"] < 0.95, "or this test shows little"


def test_scores_of_masks_apart_from_those_of_boxes(tmp_path):
    file = write(tmp_path, [(1, "leaf", 10, 10, 50, 50, False)])
    found = [("leaf", 10, 10, 50, 50, 0.9), ("leaf", 90, 50, 50, 50, 0.8)]
    samples = [sample(1, found, mask_scores=torch.tensor([0.1, 0.7]))]
    ours = evaluate(CvtkCocoMetric(file, ["bbox", "segm"]), samples)
    assert ours == evaluate(mmdet_metric(file), samples)
    assert ours["coco/bbox_mAP_50"] == 1 and ours["coco/segm_mAP_50"] == 0.5


def test_where_nothing_is_found_the_numbers_are_zero(tmp_path):
    # MMDetection leaves them out, and with them the row of the table.
    file = write(tmp_path, [(1, "leaf", 10, 10, 50, 50, False)])
    samples = [sample(image, []) for image in (1, 2, 3)]
    ours = evaluate(CvtkCocoMetric(file, "segm"), samples)
    expected = dict.fromkeys(NAMES, 0.0) | {"mAP_s": -1.0, "mAP_l": -1.0}
    assert ours == {f"coco/segm_{name}": value for name, value in expected.items()}
    assert evaluate(mmdet_metric(file), samples) == {}


def test_metrics_by_class_are_those_of_the_class_alone(tmp_path, monkeypatch):
    # MMDetection's own table by class mixes up the names where ids do not ascend.
    for category_id, name in enumerate(CLASSES, 1):
        monkeypatch.setitem(IDS, name, category_id)
    file, samples = random_case(tmp_path, 5)
    metric = CvtkCocoMetric(file, ["bbox", "segm"])
    evaluate(metric, samples)
    theirs = evaluate(mmdet_metric(file, classwise=True), samples)
    assert list(metric.class_metrics) == list(CLASSES)
    assert set(metric.class_metrics["root"].values()) == {-1.0}, "no object"
    for name in ("leaf", "stem"):
        values = metric.class_metrics[name]
        assert list(values) == [f"{k}_{n}" for k in ("bbox", "segm") for n in NAMES]
        # It computes masks after boxes, under the same name.
        assert values["segm_mAP"] == theirs[f"coco/{name}_precision"]
    hub = MessageHub.get_current_instance()
    assert hub.get_info(CLASS_METRICS) == metric.class_metrics


def test_dense_images_count_whole(tmp_path):
    corners = [(x, y) for x in range(0, 160, 8) for y in range(0, 120, 8)][:200]
    file = write(tmp_path, [(1, "leaf", x, y, 6, 6, False) for x, y in corners])
    found = [("leaf", x, y, 6, 6, 1 - n / 999) for n, (x, y) in enumerate(corners)]
    samples = [sample(1, found)]
    metric = CvtkCocoMetric(file, "segm")
    assert evaluate(metric, samples)["coco/segm_mAP"] == 1
    assert metric.class_metrics["leaf"]["segm_mAP"] == 1
    assert metric.metrics["segm"].headline == "AP@[0.50:0.95|all|300]"
    fixed = CvtkCocoMetric(file, "segm", proposal_nums=(100,))
    assert evaluate(fixed, samples)["coco/segm_mAP"] == pytest.approx(0.505)


def test_masks_do_not_pile_up(tmp_path):
    file = write(tmp_path, [(1, "leaf", 10, 10, 50, 50, False)])
    metric = CvtkCocoMetric(file, "segm")
    masks = torch.zeros((200, 500, 500), dtype=torch.bool)  # 50 MB
    masks[:, 100:300, 100:300] = True
    instances = {
        "bboxes": torch.zeros((200, 4)),
        "scores": torch.rand(200),
        "labels": torch.zeros(200, dtype=torch.long),
        "masks": masks,
    }
    tracemalloc.start()  # sees NumPy's memory, not PyTorch's
    metric.process({}, [{"img_id": 1, "pred_instances": instances}])
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5e6, "a few masks at a time"
    assert kept < 5e5, "and only what they are packed to"
    assert len(pickle.dumps(metric.results)) < 5e5, "as it goes to other processes"


def test_a_score_that_is_not_a_number_ranks_last(tmp_path):
    file = write(tmp_path, [(1, "leaf", 10, 10, 50, 50, False)])
    nan = float("nan")
    found = [("leaf", 10, 10, 50, 50, 0.2), ("leaf", 90, 50, 50, 50, nan)]
    metric = CvtkCocoMetric(file, "bbox")
    assert evaluate(metric, [sample(1, found)])["coco/bbox_mAP_50"] == 1


def test_nothing_is_said(tmp_path, capfd):
    file, samples = random_case(tmp_path, 2)
    evaluate(CvtkCocoMetric(file, ["bbox", "segm"]), samples)
    assert capfd.readouterr() == ("", "")


def test_it_is_reused_for_each_epoch(tmp_path):
    file, samples = random_case(tmp_path, 3)
    metric = CvtkCocoMetric(file, "segm")
    nothing = [sample(image, []) for image in (1, 2, 3)]
    first = evaluate(metric, samples)
    assert evaluate(metric, nothing)["coco/segm_mAP"] == 0
    assert evaluate(metric, samples) == first


def test_an_unknown_metric_is_named(tmp_path):
    with pytest.raises(OptionError, match="'proposal' is unknown"):
        CvtkCocoMetric(write(tmp_path, []), ["bbox", "proposal"])


def test_an_image_of_another_set_is_named(tmp_path):
    metric = CvtkCocoMetric(write(tmp_path, []), "bbox")
    with pytest.raises(DataError, match=r"image 77, which .*valid\.json does not have"):
        evaluate(metric, [sample(77, [("leaf", 1, 1, 9, 9, 0.5)])])


def test_an_image_of_another_size_is_named(tmp_path):
    file = write(tmp_path, [(1, "leaf", 10, 10, 50, 50, False)])
    content = json.loads((tmp_path / "valid.json").read_text())
    content["images"][1].update(width=HEIGHT, height=WIDTH)  # turned by a camera's note
    (tmp_path / "valid.json").write_text(json.dumps(content))
    metric = CvtkCocoMetric(file, "segm")
    with pytest.raises(DataError, match=r"'2\.jpg' is 160 x 120 pixels, .* 120 x 160"):
        evaluate(metric, [sample(2, [("leaf", 1, 1, 9, 9, 0.5)])])


def test_a_class_of_another_set_is_named(tmp_path):
    metric = CvtkCocoMetric(write(tmp_path, []), "bbox")
    metric.dataset_meta = {"classes": ("leaf", "flower")}
    metric.process({}, [sample(1, []).to_dict()])
    with pytest.raises(DataError, match="no class 'flower'"):
        metric.evaluate(1)
