"""The network: poses on their way through it, what it learns from, and masks back in the image."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs PyTorch")
pytest.importorskip("mmdet", reason="needs MMDetection")

import torch
from mmcv.transforms import Compose
from mmdet.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from PIL import Image

from cvtk.engine import lean_masks
from cvtk.io import encode_mask
from cvtk.pose2seg.network import Pose2Seg
from cvtk.pose2seg.poses import fit_poses
from cvtk.pose2seg.sampling import into_square, out_of_square, part_of_image
from cvtk.zoo.index import OWN

SIZE = (96, 96)


@pytest.fixture
def cfg(kites, tmp_path):
    """A configuration for the kites, whose images lie in a folder."""
    for image in kites["images"]:
        Image.new("RGB", (64, 48), "grey").save(tmp_path / image["file_name"])
    (tmp_path / "kites.json").write_text(json.dumps(kites))
    cfg = Config.fromfile(OWN / "configs" / "pose2seg_r50_fpn.py").to_dict()
    cfg["model"]["backbone"]["init_cfg"] = None
    cfg["model"]["least_side"] = 8
    for split in ("train", "test"):
        dataset = cfg[f"{split}_dataloader"]["dataset"]
        dataset.update(data_root="", ann_file=str(tmp_path / "kites.json"))
        dataset.update(data_prefix={"img": f"{tmp_path}/"})
        dataset["metainfo"] = {"classes": ["kite"]}
        for step in dataset["pipeline"]:
            if step["type"] == "Resize":
                step["scale"] = SIZE
            if step["type"] == "RandomFlip":
                step["prob"] = 1.0
    fit_poses(cfg, kites, ["kite"], "kites.json")
    init_default_scope("mmdet")
    return cfg


def samples(cfg, split):
    dataset = DATASETS.build(cfg[f"{split}_dataloader"]["dataset"])
    return [dataset[number] for number in range(len(dataset))]


def test_a_square_and_back():
    """A bright block of an image is seen in its place, and brought back to it."""
    image = torch.zeros(1, 1, 48, 64)
    image[0, 0, 8:24, 16:40] = 1
    # Half the size, shifted by (-4, 2): what lies at (16, 8) is seen at (4, 6).
    transform = torch.tensor([[0.5, 0, -4], [0, 0.5, 2]])
    seen = into_square(image, transform[None], (64, 48), 32)[0, 0]
    assert seen[6:14, 4:16].min() == 1 and seen.sum() == 8 * 12
    coarse = into_square(image[:, :, ::2, ::2], transform[None], (64, 48), 32)[0, 0]
    assert coarse[7:13, 5:15].min() == 1, "maps may be smaller than the image"
    part = part_of_image(transform, 32, (64, 48))
    assert part == (8, 0, 56, 48)
    x, y, width, height = part
    back = torch.zeros(48, 64)
    back[y : y + height, x : x + width] = out_of_square(seen[None], transform, part)[0]
    assert ((back > 0.5) == (image[0, 0] > 0.5)).all()


def test_what_lies_outside_the_image_has_no_part():
    away = torch.tensor([[1.0, 0, -500], [0, 1, 0]])
    _, _, width, _ = part_of_image(away, 32, (64, 48))
    assert width == 0


def test_poses_are_where_resizing_and_mirroring_bring_them(cfg, kites):
    first = samples(cfg, "train")[0]["data_samples"]
    scale, [points, _] = 1.5, first.poses.keypoints
    head, left, right = np.reshape(kites["annotations"][0]["keypoints"], (5, 3))[:3]
    assert first.flip and first.img_shape == (72, 96)
    np.testing.assert_allclose(points[0], [96 - scale * head[0], scale * head[1], 2])
    np.testing.assert_allclose(points[1], [96 - scale * right[0], scale * right[1], 2])
    np.testing.assert_allclose(points[2], [96 - scale * left[0], scale * left[1], 2])
    masks = first.gt_instances.masks.masks
    inside = points[:4, :2].mean(dim=0).int()
    assert masks[0, inside[1], inside[0]] == 1, "masks are mirrored alike"


def test_poses_of_crowds_and_of_objects_that_do_not_count_are_left_out(cfg, kites):
    kites["annotations"][0]["iscrowd"] = 1
    kites["annotations"][1]["bbox"][2] = 0.5  # MMDetection leaves such objects out
    file = cfg["test_dataloader"]["dataset"]["ann_file"]
    Path(file).write_text(json.dumps(kites))
    found = [sample["data_samples"].poses for sample in samples(cfg, "test")]
    assert [len(poses) for poses in found] == [0, 1]
    head = kites["annotations"][2]["keypoints"][:3]
    np.testing.assert_allclose(found[1].keypoints[0, 0], [1.5, 1.5, 1] * np.array(head))


def test_a_step_of_training_and_masks_in_the_image(cfg, monkeypatch):
    torch.manual_seed(0)
    network = MODELS.build({**cfg["model"], "type": Pose2Seg})
    batch = network.data_preprocessor(pseudo_collate(samples(cfg, "train")), True)
    losses = network(**batch, mode="loss")
    assert list(losses) == ["loss_mask"] and 0.3 < losses["loss_mask"].item() < 3
    losses["loss_mask"].backward()
    assert network.backbone.layer2[0].conv1.weight.grad.abs().sum() > 0
    assert network.mask_head.stem.conv.in_channels == 256 + 5 + 2 * 4
    assert network._side(batch["inputs"]) == 96 / 8
    network.least_side = 32
    assert network._side(batch["inputs"]) == 32, "of small images, no less"
    network.least_side = 8

    # A head that says "object" everywhere: a mask is what the square of its object shows.
    with torch.no_grad():
        network.mask_head.classify.weight.zero_()
        network.mask_head.classify.bias.copy_(torch.tensor([-9.0, 9.0]))
        found = network.eval().test_step(pseudo_collate(samples(cfg, "test")))
    sizes = [tuple(sample.pred_instances.masks.shape) for sample in found]
    assert sizes == [(2, 48, 64), (1, 48, 64)], "as large as the images were read"
    for sample in found:
        assert (sample.pred_instances.scores == 1).all()
        for mask, pose in zip(
            sample.pred_instances.masks, sample.poses.keypoints, strict=True
        ):
            x, y = (pose[:3, :2] / 1.5).int().T  # the others may lie beyond the box
            assert mask[y, x].all(), "head and hands lie in the square"
    whole, box = (getattr(found[1].pred_instances, k)[0] for k in ("masks", "bboxes"))
    assert whole.sum() < 48 * 64
    rows, columns = whole.nonzero().T
    assert box.tolist() == [
        *(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    ]

    monkeypatch.setattr(lean_masks, "MASKS_AT_ONCE", 1)
    lean_masks.use_lean_masks(network)
    for sample, dense in zip(
        network.test_step(pseudo_collate(samples(cfg, "test"))), found, strict=True
    ):
        masks = [encode_mask(mask.numpy()) for mask in dense.pred_instances.masks]
        assert sample.pred_instances.masks == masks
        assert sample.pred_instances.bboxes.equal(dense.pred_instances.bboxes)

    for sample in batch["data_samples"]:
        sample.poses.keypoints[..., 2] = 0
    network.zero_grad()
    nothing = network(**batch, mode="loss")["loss_mask"]
    nothing.backward()
    assert nothing.item() == 0 and network.mask_head.stem.conv.weight.grad is not None


def test_what_is_learned_is_what_predicts(cfg):
    """With averages of what was seen, as batch normalization keeps them, a short training would find nothing."""
    torch.manual_seed(0)
    head = MODELS.build({**cfg["model"]["mask_head"], "in_channels": 8})
    square = torch.rand(2, 8, 16, 16)
    learning = head.train()(square)
    torch.testing.assert_close(head.eval()(square), learning)


def test_estimated_scores_and_labels_reach_the_result(cfg):
    pipeline = Compose(cfg["test_dataloader"]["dataset"]["pipeline"][1:])
    pose = {"keypoints": [[5, 5, 2]] * 5, "score": 0.25, "bbox_label": 3}
    image = np.zeros((48, 64, 3), np.uint8)
    sample = pipeline(
        {
            "img": image,
            "img_shape": (48, 64),
            "ori_shape": (48, 64),
            "instances": [{**pose, "ignore_flag": 0}],
        }
    )["data_samples"]
    assert sample.poses.scores.tolist() == [0.25]
    assert sample.poses.labels.tolist() == [3]
