"""Inference to files: what comes out is MMDetection's, whatever is broken, stopped or a video."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("mmdet", reason="needs MMDetection")

import cv2
from mmdet.apis import inference_detector

from cvtk.analysis.thresholds import Thresholds
from cvtk.data.sources import ImageSource
from cvtk.engine.inference import predict_to_files, require_not_read
from cvtk.engine.journal import NAME, Journal
from cvtk.engine.predict import Predictor
from cvtk.engine.spec import open_weights
from cvtk.engine.streaming import read_ahead
from cvtk.errors import DataError, FileError, ModelError
from cvtk.io import encode_mask
from cvtk.options import InferenceOptions

CUT = b"\xff\xd8\xff cut off"


@pytest.fixture(scope="module")
def predictor(untrained):
    return Predictor(open_weights(untrained), "cpu")


def picture(seed, size=(90, 70)):
    """A picture of blots, which differs with the seed."""
    small = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.NEAREST)


@pytest.fixture
def photos(tmp_path):
    """A folder with five photographs."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(1, 6):
        picture(number).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def infer(predictor, photos, tmp_path):
    """Predicts `photos` into `out`; returns the document that was written."""

    def run(**changes):
        options = {"data": photos, "output": tmp_path / "out", "score": 0.0}
        options = InferenceOptions(**{**options, **changes})
        file = predict_to_files(predictor, options)
        return json.loads(file.read_text("utf-8"))

    return run


def names(document):
    return [image["file_name"] for image in document["images"]]


def test_what_comes_out_is_what_mmdetection_finds(infer, untrained, photos):
    from cvtk.engine.predict import load_network

    network = load_network(open_weights(untrained), "cpu")
    for head in network.modules():  # MMDetection's own way of making masks
        vars(head).pop("_bbox_mask_post_process", None)
    document = infer()
    assert names(document) == [f"{n}.png" for n in range(1, 6)]
    expected = []
    for number in range(1, 6):
        found = inference_detector(network, str(photos / f"{number}.png"))
        found = found.pred_instances.numpy()
        assert len(found) == 20
        for one in found:
            x, y, right, bottom = one.bboxes[0].tolist()
            expected.append((number, [x, y, right - x, bottom - y], one))
    assert len(document["annotations"]) == len(expected)
    for number, (item, (image_id, box, one)) in enumerate(
        zip(document["annotations"], expected, strict=True), 1
    ):
        assert (item["id"], item["image_id"]) == (number, image_id)
        assert item["score"] == pytest.approx(float(one.scores[0]), abs=1e-6)
        assert item["bbox"] == pytest.approx(box, abs=1e-3)
        assert item["category_id"] == one.labels[0] + 1
        assert item["segmentation"] == encode_mask(one.masks[0])


def test_batches_are_the_same_images_in_the_same_order(infer, tmp_path):
    ones = infer()
    threes = infer(batch_size=3, output=tmp_path / "threes")
    assert threes["images"] == ones["images"]
    boxes = [np.array([a["bbox"] for a in d["annotations"]]) for d in (ones, threes)]
    np.testing.assert_allclose(boxes[0], boxes[1], atol=0.01)


def test_the_scores_of_the_weights_are_used_unless_one_is_given(
    infer, predictor, caplog, monkeypatch, tmp_path
):
    def at(score, file="valid.json"):
        by_class = dict.fromkeys(predictor.spec.classes, score)
        chosen = Thresholds(by_class, score, [], file)
        monkeypatch.setattr(predictor.network, "thresholds", chosen)

    at(1.0)
    everything = [item["score"] for item in infer(score=0.0)["annotations"]]
    assert everything and "Scores to cut at" not in caplog.text
    middle = float(np.median(everything))
    at(middle)
    some = infer(score=None, output=tmp_path / "some")["annotations"]
    expected = [score for score in everything if score >= middle]
    assert [item["score"] for item in some] == pytest.approx(expected)
    assert "Scores to cut at, chosen on valid.json" in caplog.text
    at(1.0, file="")  # as of an exported model, which does not know
    infer(score=None, output=tmp_path / "none")
    assert "Scores to cut at: " in caplog.text


def test_nothing_is_left_but_results(infer, tmp_path):
    infer()
    found = {path.name for path in (tmp_path / "out").iterdir()}
    assert found == {"instances.json", *(f"{n}.png" for n in range(1, 6))}


# What is broken


@pytest.mark.parametrize("content", [CUT, b"", b"no image", None])
def test_a_broken_image_is_reported_and_the_others_are_complete(
    content, infer, photos, tmp_path, caplog
):
    whole = infer(output=tmp_path / "whole")
    if content is None:  # an image of which half is there
        Image.new("RGB", (400, 300), (9, 99, 9)).save(photos / "3.jpg", quality=95)
        content = (photos / "3.jpg").read_bytes()[:-700]
    (photos / "3.png").unlink()
    (photos / "3.jpg").write_bytes(content)
    with pytest.raises(DataError, match=r"1 of 5 images .*3\.jpg.* complete: see"):
        infer()
    assert "3.jpg" in caplog.text and "It is left out" in caplog.text
    document = json.loads((tmp_path / "out" / "instances.json").read_text("utf-8"))
    assert names(document) == ["1.png", "2.png", "4.png", "5.png"]
    kept = [a for a in whole["annotations"] if a["image_id"] != 3]
    ids = [{**item, "id": number} for number, item in enumerate(kept, 1)]
    assert document["annotations"] == ids
    assert not (tmp_path / "out" / "3.jpg").exists()


def test_where_all_are_broken_there_are_no_results(infer, photos, tmp_path):
    for file in photos.iterdir():
        file.write_bytes(CUT)
    with pytest.raises(DataError, match=r"5 of 5 images .* There are no results"):
        infer()
    assert not (tmp_path / "out").exists()


def test_an_image_that_no_network_can_use_is_left_out(infer, photos):
    Image.new("RGB", (5000, 1)).save(photos / "2.png")
    with pytest.raises(DataError, match=r"1 of 5"):
        infer()


# What was stopped


class Stopped(Exception):
    pass


@pytest.fixture
def stop(monkeypatch):
    """Lets an inference end after some images, as if the power had gone."""

    def after(count):
        add = Journal.add

        def add_or_stop(self, found):
            nonlocal count
            if count == 0:
                raise Stopped
            count -= 1
            add(self, found)

        monkeypatch.setattr(Journal, "add", add_or_stop)

    yield after
    monkeypatch.undo()


def test_it_goes_on_as_if_it_had_not_been_stopped(
    infer, stop, monkeypatch, tmp_path, caplog
):
    whole = infer(output=tmp_path / "whole")
    stop(2)
    with pytest.raises(Stopped):
        infer()
    monkeypatch.undo()
    assert not (tmp_path / "out" / "instances.json").exists()
    caplog.clear()
    assert infer(resume=True) == whole
    assert "Goes on after 2 of 5 images" in caplog.text
    for number in range(1, 6):
        one, two = (tmp_path / name / f"{number}.png" for name in ("whole", "out"))
        assert one.read_bytes() == two.read_bytes()


def test_images_with_as_many_objects_as_the_model_returns_are_told(
    infer, predictor, monkeypatch, caplog
):
    network = predictor.network
    limits = [getattr(module, "test_cfg", None) for module in network.modules()]
    for limit in [*limits, network.cfg.model.test_cfg]:
        if limit and "max_per_img" in limit:
            monkeypatch.setitem(limit, "max_per_img", 3)
    content = infer()  # untrained, it finds objects everywhere
    counts = Counter(item["image_id"] for item in content["annotations"])
    assert set(counts.values()) == {3} and len(counts) == 5
    assert "5 images have 3 objects, the most that the model returns" in caplog.text
    caplog.clear()
    infer(score=1.0, force=True)
    assert "the most that the model returns" not in caplog.text


def test_an_image_in_tiles_may_have_more_objects_than_the_model_returns(
    infer, predictor, monkeypatch, caplog
):
    network = predictor.network
    limits = [getattr(module, "test_cfg", None) for module in network.modules()]
    for limit in [*limits, network.cfg.model.test_cfg]:
        if limit and "max_per_img" in limit:
            monkeypatch.setitem(limit, "max_per_img", 1)
    content = infer(tile=48, overlap=0)
    assert len(content["annotations"]) > len(content["images"])
    assert "the most that the model returns" not in caplog.text


def test_without_resume_a_stopped_inference_is_kept(infer, stop, monkeypatch, tmp_path):
    stop(2)
    with pytest.raises(Stopped):
        infer()
    monkeypatch.undo()
    with pytest.raises(
        FileError, match=r"stopped after 2 images.*resume=True.*force=True"
    ):
        infer()
    assert len((tmp_path / "out" / NAME).read_text().splitlines()) == 3
    assert len(infer(force=True)["images"]) == 5


def test_only_the_same_inference_is_gone_on_with(
    infer, stop, monkeypatch, photos, tmp_path
):
    stop(2)
    with pytest.raises(Stopped):
        infer()
    monkeypatch.undo()
    with pytest.raises(FileError, match=r"begun with other score"):
        infer(resume=True, score=0.5)
    picture(0).save(photos / "0.png")  # then 1.png has another number
    with pytest.raises(FileError, match=r"of other images: 1\.png was number 1"):
        infer(resume=True)


def test_a_line_that_was_cut_off_is_made_again(infer, stop, monkeypatch, tmp_path):
    whole = infer(output=tmp_path / "whole")
    stop(3)
    with pytest.raises(Stopped):
        infer()
    monkeypatch.undo()
    journal = tmp_path / "out" / NAME
    journal.write_bytes(journal.read_bytes()[:-40])
    assert infer(resume=True) == whole


def test_what_is_complete_is_not_made_again(infer, tmp_path, caplog):
    infer()
    before = (tmp_path / "out" / "1.png").stat().st_mtime_ns
    infer(resume=True)
    assert "nothing to resume" in caplog.text
    assert (tmp_path / "out" / "1.png").stat().st_mtime_ns == before


def test_nobody_else_writes_to_the_folder_meanwhile(tmp_path):
    one = Journal(tmp_path / "out", {})
    one.open(force=False)
    other = Journal(tmp_path / "out", {})
    with pytest.raises(FileError, match="Another inference is writing"):
        other.open(force=True)
    other.close()
    assert one.path.is_file(), "it is the first one's"
    one.close()
    assert not (tmp_path / "out").exists(), "nothing was written to it"


CHILD = """
import sys
from pathlib import Path
import cvtk.engine.inference as inference
from cvtk.engine.predict import Predictor
from cvtk.engine.spec import open_weights
from cvtk.engine.streaming import read_ahead
from cvtk.options import InferenceOptions

weights, data, output = sys.argv[1:]
options = InferenceOptions(data, output=output, score=0.0)
inference.predict_to_files(Predictor(open_weights(Path(weights)), "cpu"), options)
"""


def test_after_a_kill_it_goes_on(infer, untrained, photos, tmp_path):
    for number in range(6, 60):
        picture(number).save(photos / f"{number}.png")
    whole = infer(output=tmp_path / "whole")
    arguments = [str(untrained), str(photos), str(tmp_path / "out")]
    process = subprocess.Popen([sys.executable, "-c", CHILD, *arguments])
    journal = tmp_path / "out" / NAME
    for _ in range(6000):
        assert process.poll() is None, "it ended by itself"
        if journal.exists() and journal.read_bytes().count(b"\n") > 3:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    done = journal.read_bytes().count(b"\n") - 1
    assert 3 <= done < 59, "or this test shows nothing"
    assert not (tmp_path / "out" / "instances.json").exists()
    assert infer(resume=True) == whole


# Videos


@pytest.fixture
def video(tmp_path):
    """Six frames of 96 x 64 pixels, 10 per second, each of another grey."""
    file = tmp_path / "clip.mp4"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"mp4v"), 10, (96, 64))
    for number in range(6):
        writer.write(np.full((64, 96, 3), 40 * number, np.uint8))
    writer.release()
    return file


def frames(file):
    capture = cv2.VideoCapture(str(file))
    while (read := capture.read())[0]:
        yield read[1]


def test_a_video_becomes_a_drawn_one_and_results_with_times(infer, video, tmp_path):
    document = infer(data=video, score=1.0)
    images = document["images"]
    assert [image["id"] for image in images] == [1, 2, 3, 4, 5, 6]
    assert names(document)[0] == "clip_000001.jpg"
    seconds = [image["seconds"] for image in images]
    assert seconds == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5], abs=1e-3)
    drawn = list(frames(tmp_path / "out" / "clip.mp4"))
    assert len(drawn) == 6 and drawn[0].shape == (64, 96, 3)
    greys = [frame.mean() for frame in drawn]
    assert greys == pytest.approx([0, 40, 80, 120, 160, 200], abs=6)
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {"clip.mp4", "instances.json"}


def test_a_stopped_video_is_drawn_to_its_end(infer, stop, monkeypatch, video, tmp_path):
    whole = infer(data=video, output=tmp_path / "whole")
    assert whole["annotations"]
    stop(2)
    with pytest.raises(Stopped):
        infer(data=video)
    monkeypatch.undo()
    assert not (tmp_path / "out" / "clip.mp4").exists()
    assert infer(data=video, resume=True) == whole
    both = (tmp_path / name / "clip.mp4" for name in ("whole", "out"))
    for one, two in zip(*(list(frames(file)) for file in both), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_stopped_video_is_not_gone_on_with_another(
    infer, stop, monkeypatch, video, tmp_path
):
    stop(2)
    with pytest.raises(Stopped):
        infer(data=video)
    monkeypatch.undo()
    other = video.rename(tmp_path / "other.mp4")
    with pytest.raises(FileError, match=r"other images: clip_000001\.jpg"):
        infer(data=other, resume=True)


def test_what_is_no_video_is_named(infer, tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no video")
    with pytest.raises(DataError, match=r"a\.mp4 cannot be read as a video"):
        infer(data=tmp_path / "a.mp4")
    assert not (tmp_path / "out").exists()


# Drawings


@pytest.mark.parametrize("kind", ["photos", "video"])
def test_without_drawings_there_is_the_coco_file_alone(kind, infer, tmp_path, request):
    data = request.getfixturevalue(kind)
    whole = infer(data=data, output=tmp_path / "whole")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "1.png").write_text("mine")
    assert infer(data=data, draw="no") == whole
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {"1.png", "instances.json"}
    assert (tmp_path / "out" / "1.png").read_text() == "mine"


def test_each_style_draws_another_picture(infer, tmp_path):
    styles = ("masks", "outlines", "boxes")
    for style in styles:
        infer(draw=style, output=tmp_path / style)
    pictures = {(tmp_path / style / "1.png").read_bytes() for style in styles}
    assert len(pictures) == 3


# Pixels


def test_pixels_are_predicted_like_the_file_that_holds_them(predictor, photos):
    file = photos / "1.png"
    sources = [
        ImageSource(file, "1.png", 1),
        ImageSource(Path("x.png"), "x.png", 1, np.asarray(Image.open(file))),
    ]
    one, two = predictor.predict(sources, 1, 0.0)
    np.testing.assert_array_equal(one.bboxes, two.bboxes)
    assert one.masks == two.masks
    assert one.pixels is None, "files are read again, so that many results fit"
    assert one.draw().tobytes() == two.draw().tobytes()


# The parts


def test_images_are_read_only_a_few_ahead():
    read = []

    def note(source):
        read.append(source.id)
        return source.id

    images = (ImageSource(Path("a"), "a", number) for number in range(100))
    taken = read_ahead(note, images, broken=None, ahead=4)
    for number in range(50):
        assert next(taken) == number
        assert max(read) <= number + 5
    taken.close()
    assert max(read) < 60


def test_no_result_takes_the_place_of_what_is_read(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    read, other = [folder / "1.jpg"], tmp_path / "out" / "1.jpg"
    require_not_read([other], folder, read)
    with pytest.raises(FileError, match=r"1\.jpg is among what is read"):
        require_not_read([other, folder / "1.jpg"], folder, read)
    with pytest.raises(FileError, match=r"1\.jpg is among what is read"):
        require_not_read([tmp_path / "link" / "1.jpg"], folder, read)
    with pytest.raises(FileError, match=r"instances\.json is among what is read"):
        require_not_read([folder / "instances.json"], folder / "instances.json", [])


def test_a_model_without_weights_predicts_nothing(untrained):
    from dataclasses import replace

    spec = replace(open_weights(untrained), weights=None)
    with pytest.raises(ModelError, match=r"has no weights yet.*Train it"):
        Predictor(spec, "cpu")


def test_an_output_that_is_a_file_is_said(infer, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FileError):
        infer(output=tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"
