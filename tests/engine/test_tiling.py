"""Images that go through the network tile by tile: the same as by hand, and the size that training saw."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("mmdet", reason="needs MMDetection")

from mmengine.config import ConfigDict

from cvtk.data.sources import ImageSource
from cvtk.data.tiles import tiles_of
from cvtk.engine.predict import Predictor
from cvtk.engine.seams import as_result, merge, pieces_of
from cvtk.engine.spec import ModelSpec, open_weights
from cvtk.engine.tiling import Tiling, size_seen, tiling_of
from cvtk.errors import OptionError
from cvtk.options import PredictOptions


@pytest.fixture(scope="module")
def predictor(untrained):
    return Predictor(open_weights(untrained), "cpu")


@pytest.fixture(scope="module")
def pixels():
    small = np.random.default_rng(0).integers(0, 256, (15, 20, 3), dtype=np.uint8)
    large = Image.fromarray(small).resize((200, 150), Image.Resampling.BICUBIC)
    return np.asarray(large)


def predict(predictor, pixels, tiling=None, batch_size=1):
    source = ImageSource(Path("a.png"), "a.png", 1, pixels)
    [result] = predictor.predict([source], batch_size, 0.0, tiling)
    return result


def assert_same(one, two):
    np.testing.assert_allclose(one.scores, two.scores, atol=1e-6)
    np.testing.assert_allclose(one.bboxes, two.bboxes, atol=1e-3)
    assert one.labels.tolist() == two.labels.tolist()
    assert one.masks == two.masks
    assert (one.height, one.width) == (two.height, two.width)


def test_an_image_that_fits_one_tile_is_predicted_as_ever(predictor, pixels):
    tiled = predict(predictor, pixels, Tiling(500, 0.2))
    # What has no pixel is left out, and the best comes first.
    whole = predict(predictor, pixels)
    kept = [k for k, item in enumerate(whole.to_coco()) if item["area"]]
    assert len(kept) > 10
    order = sorted(kept, key=lambda k: -whole.scores[k])
    assert_same(tiled, whole[order])


def test_tiles_are_what_one_would_cut_and_predict_oneself(predictor, pixels):
    tiles = tiles_of(200, 150, 96, 0.25)
    assert len(tiles) == 6
    pieces = []
    for tile in tiles:
        part = pixels[tile.top : tile.bottom, tile.left : tile.right]
        result = predict(predictor, part)
        pieces += pieces_of(result, tile, 150, 200)
    by_hand = as_result(merge(pieces, tiles, 150, 200), result, 150, 200)
    tiled = predict(predictor, pixels, Tiling(96, 0.25))
    assert_same(tiled, by_hand)
    assert len(tiled) > 20
    assert tiled.draw(pixels).size == (200, 150)


def spec(folder):
    return ModelSpec(
        "a", folder / "a.py", "segm", ["leaf"], [1], weights=folder / "a.pth"
    )


def cfg(scale=(256, 256), ann_file="gone.json"):
    steps = [{"type": "LoadImageFromFile"}, {"type": "Resize", "scale": scale}]
    return ConfigDict(
        test_dataloader={"dataset": {"pipeline": steps}},
        train_dataloader={"dataset": {"ann_file": ann_file, "data_root": "/data"}},
    )


def training(folder, *sizes):
    file = folder / "train.json"
    images = [
        {"id": k, "file_name": f"{k}.jpg", "width": w, "height": h}
        for k, (w, h) in enumerate(sizes)
    ]
    file.write_text(json.dumps({"images": images}))
    return file


@pytest.mark.parametrize(
    ("scale", "sizes", "size"),
    [
        ((256, 256), [(1024, 1024)], 1024),  # training tiles of 1024: the same
        ((256, 256), [(1000, 600), (2000, 900), (1000, 800)], 1000),  # scaled by 1/4
        ((1333, 800), [(4000, 3000)], 3000),  # scaled to 1067 x 800
        ((1333, 800), [(400, 300)], 300),  # enlarged to 1067 x 800
    ],
)
def test_auto_scales_as_training_did(scale, sizes, size, tmp_path):
    file = training(tmp_path, *sizes)
    found, why = size_seen(spec(tmp_path), cfg(scale, str(file)))
    assert found == size
    assert "as large in them as they were in training" in why


def test_the_workspace_beside_the_weights_knows_the_training_too(tmp_path):
    (tmp_path / "a").mkdir()
    training(tmp_path, (512, 512)).rename(tmp_path / "a" / "used_train.json")
    assert size_seen(spec(tmp_path), cfg())[0] == 512


def test_where_the_training_is_gone_a_tile_is_not_scaled(tmp_path):
    size, why = size_seen(spec(tmp_path), cfg((1333, 800)))
    assert size == 800 and "network's input" in why


def test_a_configuration_without_a_size_is_said(tmp_path):
    with pytest.raises(OptionError, match="--tile cannot be auto"):
        size_seen(spec(tmp_path), cfg(scale=None))


def test_what_the_options_ask_for(tmp_path, caplog):
    def asked(**options):
        return tiling_of(
            PredictOptions("a", **options), lambda: size_seen(spec(tmp_path), cfg())
        )

    assert asked() is None
    assert asked(tile=640, overlap=0.5) == Tiling(640, 0.5)
    assert asked(tile="auto") == Tiling(256, 0.2)
    assert "Tiles of 256 pixels" in caplog.text
    assert tiling_of(SimpleNamespace(tile=64, overlap=0), None).size == 64


def test_an_evaluation_in_tiles_says_so(predictor, demo, tmp_path):
    from dataclasses import replace

    from cvtk import data
    from cvtk.engine.evaluate import measure

    names = data.read(demo.test).class_names
    predictor.spec = replace(predictor.spec, classes=names)
    statistics, found = measure(predictor, data.read(demo.test), Tiling(64, 0.2))
    assert statistics["computed_on"].endswith("3 images in tiles of 64 pixels")
    assert found and all(item["segmentation"]["size"] == [96, 128] for item in found)
