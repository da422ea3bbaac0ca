"""The run card: hashes that other programs get too, and no more than is known."""

from __future__ import annotations

import hashlib
import json
import subprocess

import pytest

pytest.importorskip("mmengine", reason="needs MMEngine")

from mmengine.config import ConfigDict

from cvtk.data import read
from cvtk.engine.card import _facts, _transforms
from cvtk.engine.training_data import facts_of


def test_hashes_are_those_of_sha256sum(demo):
    dataset = read(demo.test)
    facts = _facts(facts_of(dataset, demo.test, ["a note"]))
    assert facts["sha256"] == hashlib.sha256(demo.test.read_bytes()).hexdigest()
    names = [image.file_name for image in dataset.images]
    try:
        listed = subprocess.run(
            ["sha256sum", *names],
            cwd=demo.test.parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except FileNotFoundError:
        pytest.skip("there is no sha256sum here")
    lines = "".join(sorted(listed.splitlines(keepends=True)))
    assert facts["images_sha256"] == hashlib.sha256(lines.encode()).hexdigest()
    assert facts["images"] == 3 and facts["notes"] == ["a note"]
    items = json.loads(demo.test.read_text())["annotations"]
    crowds = sum(item.get("iscrowd", 0) for item in items)
    assert (facts["crowds"], facts["objects"]) == (crowds, len(items) - crowds)
    assert sum(facts["by_class"].values()) == facts["objects"] and crowds > 0


def test_one_changed_pixel_changes_the_hash(demo, tmp_path):
    facts = facts_of(read(demo.test), demo.test, [])
    name, file = facts.image_files[0]
    before = _facts(facts)["images_sha256"]
    (tmp_path / "changed").write_bytes(file.read_bytes() + b"\0")
    facts.image_files[0] = (name, tmp_path / "changed")
    assert _facts(facts)["images_sha256"] != before


def test_what_is_done_to_a_training_image():
    inner = {
        "pipeline": [{"type": "LoadImageFromFile"}, {"type": "RandomFlip"}],
        "type": "CocoDataset",
    }
    outer = {
        "type": "MultiImageMixDataset",
        "dataset": inner,
        "pipeline": [{"type": "Mosaic"}, {"type": "PackDetInputs"}],
    }
    cfg = ConfigDict(train_dataloader={"dataset": outer})
    assert _transforms(cfg) == ["RandomFlip", "Mosaic"]
    # Mosaic ends before the first epoch, where a training is short.
    hook = {"type": "PipelineSwitchHook", "switch_pipeline": inner["pipeline"]}
    cfg.custom_hooks = [{**hook, "switch_epoch": 20}]
    assert _transforms(cfg) == ["RandomFlip", "Mosaic"]
    cfg.custom_hooks = [{**hook, "switch_epoch": 0}]
    assert _transforms(cfg) == ["RandomFlip"]
