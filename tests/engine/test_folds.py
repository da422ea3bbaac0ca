"""Cross-validation: each image is predicted once, by a model that has not seen it."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("mmdet", reason="needs MMDetection")

from cvtk.data import read
from cvtk.errors import OptionError
from cvtk.metrics import evaluate
from cvtk.model import create_model
from cvtk.options import TrainOptions


def test_folds_make_their_own_test_sets():
    with pytest.raises(OptionError, match="leave out --test and"):
        TrainOptions("a.json", test="b.json", output_weights="a.pth", folds=3)


@pytest.mark.train
def test_all_images_are_predicted_by_models_that_have_not_seen_them(
    demo, tmp_path, messages
):
    out = tmp_path / "out"

    def train(**more):
        model = create_model("rtmdet_tiny_8xb32-300e_coco", labels=demo.label)
        return model.train(
            demo.train,
            output_weights=out / "a.pth",
            folds=2,
            epoch=1,
            batch_size=2,
            num_workers=0,
            image_size=64,
            weights="none",
            device="cpu",
            set=["model.test_cfg.score_thr=0.001"],
            **more,
        )

    stats = train()
    ids = {image.id for image in read(demo.train).images}
    learned, tested = [], []
    for fold in ("a.fold1", "a.fold2"):
        for split, seen in (("train", learned), ("test", tested)):
            used = json.loads((out / fold / f"used_{split}.json").read_text())
            seen.append({image["id"] for image in used["images"]})
        assert (out / f"{fold}.pth").is_file()
    assert tested[0] | tested[1] == ids and not tested[0] & tested[1]
    assert [ids - part for part in tested] == learned
    folder = out / "a.folds"
    pooled = json.loads((folder / "test_outputs.coco.json").read_text())
    assert len({p["id"] for p in pooled}) == len(pooled)
    expected = evaluate(demo.train, pooled, "bbox").stats
    assert stats["stats"] == pytest.approx(expected)
    assert [fold["images"] for fold in stats["folds"]] == [len(t) for t in tested]
    assert (folder / "report.html").is_file()

    # A second start trains only what is missing.
    (out / "a.fold2.pth").unlink()
    before = (out / "a.fold1.pth").stat().st_mtime_ns
    again = train(resume=True)
    assert again["stats"] == pytest.approx(stats["stats"])
    assert (out / "a.fold1.pth").stat().st_mtime_ns == before
    assert "Fold 1 of 2 is done" in messages.text
