"""The choice of the images to label next: what is looked at, what is told, and what is written."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

pytest.importorskip("mmdet", reason="needs MMDetection")

import cvtk
from cvtk.cli import main
from cvtk.data.reading import USUAL
from cvtk.data.sources import list_images
from cvtk.engine.next_images import choose_next
from cvtk.engine.pictures import Picture
from cvtk.engine.spec import open_weights
from cvtk.engine.streaming import AnyPredictor, read_ahead
from cvtk.errors import DataError, FileError
from cvtk.io import encode_mask
from cvtk.model import create_model
from cvtk.options import NextOptions
from cvtk.results import Result

SCORES = {  # what the model below finds in each picture
    "1.png": [0.95, 0.02],
    "2.png": [0.5, 0.45, 0.9],
    "3.png": [],
    "4.png": [0.5],
    "5.png": [0.3, 0.3],
}


class KnownScores(AnyPredictor):
    """A model whose scores are known: it finds a square of the first class for each score."""

    reading = USUAL

    def __init__(self, spec):
        self.spec = spec

    def least_scores(self, score):
        return [0.3 if score is None else score] * len(self.spec.classes)

    def tiling(self, options):
        return None

    def stream(self, images, batch_size, score, tiling=None, broken=None):
        def read(source):
            return np.asarray(cvtk.data.images.read_image(source.path))

        def opened(source):
            return Picture(source, read(source)[..., ::-1], None)

        for picture in read_ahead(opened, images, broken, ahead=2):
            yield picture, self.found(picture, self.least_scores(score)[0])

    def found(self, picture, least):
        scores = [s for s in SCORES[picture.source.name] if s >= least]
        height, width = picture.pixels.shape[:2]
        masks = np.zeros((len(scores), height, width), np.uint8)
        for number in range(len(scores)):
            masks[number, 2:12, 20 * number : 20 * number + 10] = 1
        return Result(
            path=picture.source.path,
            name=picture.source.name,
            height=height,
            width=width,
            classes=self.spec.classes,
            category_ids=self.spec.category_ids,
            labels=np.zeros(len(scores)),
            scores=scores,
            bboxes=[[20 * number, 2, 10, 10] for number in range(len(scores))],
            masks=[encode_mask(mask) for mask in masks],
        )


@pytest.fixture(scope="module")
def predictor(untrained):
    return KnownScores(open_weights(untrained))


def picture(seed):
    small = np.random.default_rng(seed).integers(0, 256, (16, 17, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((90, 70), Image.Resampling.NEAREST)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(1, 6):
        picture(number).save(folder / f"{number}.png")
    return folder


def names(chosen):
    return [image.name for image in chosen]


def test_the_unsure_ones_with_the_reasons(predictor, photos):
    chosen = choose_next(predictor, NextOptions(photos, 5))
    assert names(chosen)[:2] == ["2.png", "5.png"]
    first = chosen[0]
    assert first.uncertainty == pytest.approx(1 + 0.9928 + 0.4690, abs=1e-3)
    name = predictor.spec.classes[0]
    assert first.reason == f"unsure of 2 of 3 objects: {name} 2"
    assert (first.difference, first.nearest) == (1, "")
    assert chosen[1].nearest == "2.png"
    told = {image.name: image.reason for image in chosen}
    assert told["1.png"] == "1 object, not very unsure"
    assert told["3.png"] == "nothing is found in it"


def test_labelled_images_and_what_looks_like_them_are_left_out(
    predictor, photos, tmp_path, caplog
):
    done = tmp_path / "done"
    done.mkdir()
    picture(2).save(done / "copy.png")
    labelled = tmp_path / "labelled.txt"
    labelled.write_text("photos/4.png\ndone/copy.png\n", "utf-8")
    chosen = choose_next(predictor, NextOptions(photos, 5, labelled=labelled))
    assert names(chosen)[0] == "5.png" and sorted(names(chosen)) == [
        "1.png",
        "3.png",
        "5.png",
    ]
    assert chosen[0].nearest in ("4.png", "copy.png")
    assert "Only 3 of 4 images are chosen" in caplog.text
    with pytest.raises(FileError, match="All 5 images of the pool are labelled"):
        choose_next(predictor, NextOptions(photos, labelled=photos))


def test_what_is_found_in_them_is_written_to_be_corrected(predictor, photos, tmp_path):
    file = tmp_path / "next.json"
    options = NextOptions(photos, 2, predictions=file, score=0.4)
    choose_next(predictor, options)
    dataset = cvtk.data.read(file)
    assert [image.file_name for image in dataset.images] == ["2.png", "5.png"]
    assert [a.score for a in dataset.annotations] == [0.5, 0.45, 0.9]
    with pytest.raises(FileError, match="exists already"):
        choose_next(predictor, options)


def test_broken_images_are_told_and_left_out(predictor, photos, caplog):
    (photos / "2.png").write_bytes(b"\x89PNG no more")
    assert "2.png" not in names(choose_next(predictor, NextOptions(photos, 4)))
    assert "2.png" in caplog.text and "left out" in caplog.text
    (photos / "clip.mp4").write_bytes(b"")
    with pytest.raises(DataError):
        choose_next(predictor, NextOptions(photos / "clip.mp4"))


def test_the_command_writes_a_list_that_inference_takes(untrained, photos, tmp_path):
    """Real weights, that have learned nothing: they are unsure of all that they find."""
    output, predictions = tmp_path / "lists" / "next.txt", tmp_path / "next.json"
    words = ["data", "next", untrained, photos, "-n", 3, "--output", output]
    words = [*map(str, words), "--predictions", str(predictions)]
    done = CliRunner().invoke(main, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "unsure of" in done.output
    assert [image.path.resolve().parent for image in list_images(output)] == [
        photos
    ] * 3
    lines = output.read_text("utf-8").splitlines()
    assert all(line.startswith("../photos/") for line in lines)
    found = json.loads(predictions.read_text("utf-8"))
    assert [image["file_name"] for image in found["images"]] == [
        line.rsplit("/", 1)[1] for line in lines
    ]
    again = CliRunner().invoke(main, words)
    assert again.exit_code == 1 and "exists already" in again.stderr


def test_views_of_an_image_change_how_sure_a_model_is(untrained, photos):
    model = create_model(untrained)
    once = model.choose_next(photos, 3)
    augmented = model.choose_next(photos, 3, tta=True)
    told = [sorted(image.uncertainty for image in found) for found in (once, augmented)]
    assert told[0] != told[1]


@pytest.mark.parametrize(
    ("tile", "said"), [("auto", "1 image: "), ("x", "--tile cannot be 'x'")]
)
def test_tiles_are_a_number_or_auto(tile, said, untrained, photos, tmp_path):
    words = ["data", "next", untrained, photos, "-n", 1, "--tile", tile]
    words += ["--output", tmp_path / "next.txt"]
    done = CliRunner().invoke(main, [*map(str, words)])
    assert (done.exit_code == 0) == (tile == "auto"), done.output
    assert said in done.output
