"""Several trainings: each image is predicted by a model that has not seen it, and all predictions are one result."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("mmdet", reason="needs MMDetection")

from cvtk.data import read
from cvtk.errors import DataError, FileError, OptionError
from cvtk.metrics import evaluate
from cvtk.model import create_model

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def train(demo, make_folder):
    """Trains in one folder, which it has as `out`."""
    out = make_folder("out")

    def trained(**options):
        model = create_model("rtmdet_tiny_8xb32-300e_coco", labels=demo.label)
        small = {
            "output_weights": out / "a.pth",
            "epoch": 1,
            "batch_size": 2,
            "num_workers": 0,
            "image_size": 64,
            "weights": "none",
            "device": "cpu",
            "set": ["model.test_cfg.score_thr=0.001"],
        }
        return model, model.train(demo.train, **{**small, **options})

    trained.out = out
    return trained


def test_folds_one_by_one_and_then_all_together(train, demo, messages):
    out, folder = train.out, train.out / "a.folds"
    _, nothing = train(folds=2, fold=1)
    assert nothing is None and not folder.exists()
    assert "Not there yet: fold 2. The last one to end evaluates all together." in (
        messages.text
    )
    before = (out / "a.fold1.pth").stat().st_mtime_ns
    model, stats = train(folds=2, final=True, resume=True)
    assert (out / "a.fold1.pth").stat().st_mtime_ns == before
    assert "fold 1 of 2: done already" in messages.text

    pooled = json.loads((folder / "test_outputs.coco.json").read_text())
    assert len({p["id"] for p in pooled}) == len(pooled)
    assert stats["stats"] == pytest.approx(evaluate(demo.train, pooled, "bbox").stats)
    for fold in (1, 2):
        used = json.loads((out / f"a.fold{fold}" / "used_test.json").read_text())
        tested = {image["id"] for image in used["images"]}
        own = json.loads((out / f"a.fold{fold}" / "test_outputs.coco.json").read_text())
        assert [p["bbox"] for p in pooled if p["image_id"] in tested] == [
            p["bbox"] for p in own
        ]
    report = (folder / "report.html").read_text()
    assert "by the one of 2 models that had not learned from it" in report

    # The final model has learned from all, and its scores were chosen on what the folds found.
    used = json.loads((out / "a" / "used_train.json").read_text())
    assert len(used["images"]) == len(read(demo.train).images)
    assert model.weights == out / "a.pth"
    card = json.loads((out / "a.card.json").read_text())
    chosen = "Scores to cut at, which inference will use" in messages.text
    assert bool(card["cut_at"]) == chosen

    # One paragraph on all of it, in the place of that on the final model alone.
    text = (out / "a.methods.md").read_text()
    assert "cross-validation with 2 folds on 4 images" in text
    assert "A final model was then trained on all 4 images for 1 epoch." in text
    assert "of all 3 models took" in text


def test_a_second_start_replaces_nothing_and_mixes_nothing(train):
    with pytest.raises(
        FileError, match=r"2 of 2 trainings exist already, the first as \S+a\.fold1"
    ):
        train(folds=2)
    with pytest.raises(OptionError, match="epoch was 1 and is 2"):
        train(folds=2, resume=True, epoch=2)
    with pytest.raises(
        DataError, match=r"other images in its train set than fold 1 of 3"
    ):
        train(folds=3, resume=True)
