"""The catalogue, as MMDetection's index has it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from cvtk import zoo
from cvtk.errors import ModelError
from cvtk.zoo import index


def test_index_is_read_with_its_oddities(root):
    entries = {e.name: e for e in index.read_index(root)}
    # An encoded path, a path relative to the metafile, a file without an entry; nothing for `gone` or `_base_`.
    assert set(entries) == {
        "mask-rcnn_r50_fpn_1x_coco",
        "mask-rcnn_r101_fpn_1x_coco",
        "tracker_x",
        "mask-rcnn_r18_extra",
    }
    plain = entries["mask-rcnn_r50_fpn_1x_coco"]
    assert (plain.task, plain.mask_ap, plain.box_ap, plain.ap) == (
        "segm",
        34.7,
        38.2,
        34.7,
    )
    assert (plain.memory_gb, plain.epochs, plain.weights_url) == (
        4.4,
        12,
        "https://example.org/mask.pth",
    )
    assert (plain.paper_title, plain.aliases) == (
        "Mask R-CNN",
        ("mask_rcnn_r50_old_name",),
    )
    assert plain.config.is_absolute() and plain.config.is_file()
    assert entries["tracker_x"].task == "other"
    assert (
        entries["mask-rcnn_r18_extra"].task == "segm"
        and not entries["mask-rcnn_r18_extra"].listed
    )


def test_an_entry_survives_its_dict(root):
    for entry in index.read_index(root):
        assert index.entries_of([entry.to_dict()]) == (entry,)


@pytest.mark.parametrize(
    "model",
    [
        "Metadata: [1, 2]",
        "Metadata: {Epochs: many, Training Memory (GB): [3]}",
        "Results: none",
        "Results: [{Task: Object Detection, Metrics: 38}]",
        "Paper: []",
        "Weights: {url: x}",
        "Alias: other-name",
    ],
)
def test_a_metafile_with_odd_values_still_names_its_model(root, model):
    family = root / "configs" / "gn+ws"
    config = "mask-rcnn_r50_fpn_1x_coco"
    (family / "metafile.yml").write_text(
        f"Models:\n  - {{Name: a, Config: {config}.py}}\n  - Name: b\n"
        f"    Config: mask-rcnn_r18_extra.py\n    {model}\n"
    )
    listed = [entry.name for entry in index.read_index(root) if entry.listed]
    assert listed == [config, "mask-rcnn_r18_extra"]


def test_catalogue_of_a_source_checkout_leaves_out_other_tasks(small):
    assert [e.name for e in zoo.catalogue()] == [
        "mask-rcnn_r101_fpn_1x_coco",
        "mask-rcnn_r50_fpn_1x_coco",
        "pose2seg_r50_fpn",
    ], "and brings cvtk's own"


@pytest.mark.parametrize(
    ("name", "images", "memory"),
    [
        ("rtmdet-ins_tiny_8xb32-300e_coco", 32, 18.4 / 8),
        ("mask-rcnn_r50_fpn_1x_coco", 2, 18.4 * 2),
        ("yolact_r50_1xb8-55e_coco", 8, 18.4 / 2),
    ],
)
def test_memory_is_in_proportion_to_the_images_per_step(name, images, memory):
    entry = zoo.Entry(name, "family", "segm", Path("a.py"), memory_gb=18.4)
    assert entry.images_per_gpu == images
    assert entry.memory_with(4) == pytest.approx(memory)
    assert zoo.Entry(name, "family", "segm", Path("a.py")).memory_with(4) is None


def test_every_model_of_the_index_is_there(installed):
    mim = index._root()
    every = {e.config.resolve(): e for e in index.all_entries()}
    missing = []
    for name in yaml.safe_load((mim / "model-index.yml").read_text())["Import"]:
        content = yaml.safe_load((mim / name).read_text())
        for model in content["Models"] if isinstance(content, dict) else content:
            try:
                assert zoo.find(model["Name"]).config in every
            except ModelError as error:
                if "does not train" not in str(error):
                    missing.append(model["Name"])
    # Their configuration files are not in the package.
    assert len(missing) <= 3, missing
    assert sum(e.task == "segm" for e in installed.values()) > 200
    assert sum(e.task == "det" for e in installed.values()) > 300


def test_tasks_that_the_index_has_wrong_are_right(installed):
    assert installed["faster-rcnn_r50_fpn-carafe_1x_coco"].task == "det"
    assert installed["mask-rcnn_x101-32x8d_fpn_ms-poly-3x_coco"].task == "segm"
