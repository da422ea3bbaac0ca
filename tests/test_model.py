"""The library: a model trains, evaluates and predicts in Python as in the scripts."""

from __future__ import annotations

import inspect
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

pytest.importorskip("mmdet", reason="needs MMDetection")

import mmdet

import cvtk
from cvtk.errors import DataError, FileError, ModelError, OptionError

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def labels(demo):
    """The classes in another order than in the annotations."""
    return demo.label.read_text().split()[::-1]


@pytest.fixture(scope="module")
def told():
    """What the function given as `progress` is called with."""
    return []


@pytest.fixture(scope="module")
def trained(demo, labels, told, make_folder):
    """A model that was trained for an epoch, and reports also what it is unsure of."""
    folder = make_folder("my model")
    configs = Path(mmdet.__file__).parent / ".mim" / "configs"
    (base,) = configs.rglob("rtmdet-ins_tiny_8xb32-300e_coco.py")
    config = folder / "tiny.py"
    changes = "model = dict(test_cfg=dict(score_thr=0.001, max_per_img=20))"
    config.write_text(f"_base_ = {str(base)!r}\n{changes}\n")
    model = cvtk.create_model(config, labels=labels, task="segm")
    model.train(
        train=demo.train,
        output_weights=folder / "out" / "früchte 1.pth",
        epochs=1,
        batch_size=2,
        num_workers=0,
        image_size=96,
        lr=0.02,  # so high that no two scores are the same
        weights="none",
        device="cpu",
        progress=lambda done, steps, values: told.append((done, steps, values)),
    )
    return model


@pytest.fixture(scope="module")
def opened(trained):
    """The same from its files, as on another day."""
    return cvtk.create_model(trained.weights)


def photos(demo):
    return sorted((demo.test.parent / "images").iterdir())


def test_progress_is_told_after_each_step(trained, told):
    assert [(done, steps) for done, steps, _ in told] == [(1, 2), (2, 2)]
    losses = [values["loss"] for _, _, values in told]
    table = trained.weights.with_name("früchte 1.train_stats.train.txt")
    header, row = (line.split("\t") for line in table.read_text("utf-8").splitlines())
    mean = float(row[header.index("loss")])
    assert np.mean(losses) == pytest.approx(mean, rel=1e-4)


def test_weights_know_their_classes_and_task(opened, trained, labels):
    assert opened.classes == trained.classes == labels
    assert opened.task == trained.task == "segm"
    assert opened.category_ids == trained.category_ids == [3, 2, 1]


def test_without_validation_the_last_epoch_is_kept(trained):
    made = {p.name for p in trained.weights.parent.iterdir()}
    stats = "früchte 1.train_stats.train"
    names = {
        "früchte 1.pth",
        "früchte 1.py",
        "früchte 1",
        f"{stats}.txt",
        f"{stats}.png",
        "früchte 1.card.json",
        "früchte 1.methods.md",
    }
    assert made == names


def test_predict_is_a_generator(opened, demo):
    results = opened.predict(demo.test, score=0)
    assert inspect.isgenerator(results)
    first = next(results)
    assert first.path == photos(demo)[0]
    assert [r.path for r in results] == photos(demo)[1:]


def test_results_as_dictionaries(opened, demo, labels):
    seen = 0
    for result in opened.predict(demo.test.parent, score=0):
        for item in result.to_dicts():
            assert {*item} == {"category", "category_id", "score", "bbox", "mask"}
            assert (
                item["category_id"]
                == opened.category_ids[labels.index(item["category"])]
            )
            assert 0 <= item["score"] <= 1
            assert (item["mask"].shape, item["mask"].dtype) == ((96, 128), np.uint8)
            assert {*np.unique(item["mask"])} <= {0, 1}
            seen += 1
    assert seen > 10, "or this test shows nothing"


def test_only_scores_from_the_one_asked_for(opened, demo):
    everything = list(opened.predict(demo.test, score=0))
    scores = np.concatenate([r.scores for r in everything])
    middle = float(np.median(scores))
    kept = list(opened.predict(demo.test, score=middle))
    for all_of_it, few in zip(everything, kept, strict=True):
        expected = all_of_it.filter(middle)
        np.testing.assert_array_equal(few.scores, expected.scores)
        np.testing.assert_array_equal(few.bboxes, expected.bboxes)
        assert few.masks == expected.masks
    assert 0 < sum(map(len, kept)) < len(scores)


def test_batches_find_the_same(opened, demo):
    ones = opened.predict(demo.test, score=0, batch_size=1)
    for one, of_three in zip(
        ones, opened.predict(demo.test, score=0, batch_size=3), strict=True
    ):
        assert one.path == of_three.path
        np.testing.assert_allclose(one.scores, of_three.scores, atol=1e-5)
        # objects of the same score, to rounding, may change places
        apart = np.abs(one.bboxes[:, None] - of_three.bboxes[None]).max(axis=2)
        assert apart.min(axis=0).max() < 0.01 and apart.min(axis=1).max() < 0.01


def test_instances_load_in_pycocotools_and_as_results(opened, demo, tmp_path, labels):
    output = tmp_path / "o ü"
    file = opened.predict_to_files(demo.test, output=output, score=0.001)
    assert file == output / "instances.json"
    found = COCO(str(file))
    assert [c["name"] for c in found.cats.values()] == labels
    assert all("supercategory" in c for c in found.cats.values())
    truth = COCO(str(demo.test))
    again = truth.loadRes(json.loads(file.read_text())["annotations"])
    assert len(again.anns) == len(found.anns) > 0
    for image in found.imgs.values():
        with Image.open(output / image["file_name"]) as drawn:
            drawn.load()
            assert drawn.size == (128, 96)
    with pytest.raises(FileError, match="exists"):
        opened.predict_to_files(demo.test, output=output)
    opened.predict_to_files(demo.test, output=output, force=True)


def test_one_image_is_drawn_to_a_file_with_its_best_objects(opened, demo, tmp_path):
    output = tmp_path / "found" / "out.png"
    file = opened.predict_to_files(photos(demo)[0], output=output, score=0, top_k=2)
    assert file == tmp_path / "found" / "out.json"
    (all_found,) = opened.predict(photos(demo)[0], score=0)
    (best,) = opened.predict(photos(demo)[0], score=0, top_k=2)
    assert len(best) == 2 < len(all_found)
    assert sorted(best.scores) == sorted(all_found.scores)[-2:]
    written = json.loads(file.read_text())["annotations"]
    assert [item["score"] for item in written] == best.scores.tolist()
    with Image.open(output) as drawn:
        assert drawn.size == (128, 96)
    with pytest.raises(OptionError, match="is one picture, and there are 3 images"):
        opened.predict_to_files(demo.test, output=tmp_path / "a.png")


def test_a_drawn_image_shows_what_was_found(opened, demo, tmp_path):
    (result,) = opened.predict(photos(demo)[0], score=0)
    assert len(result) > 0
    drawn = result.save_to_img(tmp_path / "drawn.png")
    with Image.open(drawn) as after, Image.open(photos(demo)[0]) as before:
        difference = np.abs(
            np.asarray(after, int) - np.asarray(before.convert("RGB"), int)
        )
    assert difference.max() > 50


def test_odd_names_and_equal_names_are_all_kept(opened, demo, tmp_path):
    for name in ("a b/いちご 1.jpg", "a b/x.jpg", "ü/x.jpg"):
        target = tmp_path / "in" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photos(demo)[0], target)
    file = opened.predict_to_files(tmp_path / "in", output=tmp_path / "tree")
    names = {i["file_name"] for i in COCO(str(file)).imgs.values()}
    assert names == {"a b/いちご 1.jpg", "a b/x.jpg", "ü/x.jpg"}
    assert all((tmp_path / "tree" / name).is_file() for name in names)
    both = [tmp_path / "in" / name for name in ("a b/x.jpg", "ü/x.jpg")]
    file = opened.predict_to_files(both, output=tmp_path / "flat")
    names = {i["file_name"] for i in COCO(str(file)).imgs.values()}
    assert len(names) == 2
    assert all((tmp_path / "flat" / name).is_file() for name in names)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_masks_are_turned_as_the_photo_is_seen(orientation, opened, demo, tmp_path):
    turns = {3: 2, 6: 1, 8: 3}[orientation]  # quarters against the clock, as stored
    with Image.open(photos(demo)[0]) as photo:
        seen = np.asarray(photo.convert("RGB"))
    stored = Image.fromarray(np.rot90(seen, turns))
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned, upright = tmp_path / "turned.jpg", tmp_path / "upright.png"
    stored.save(turned, quality=100, subsampling=0, exif=exif)
    Image.fromarray(seen).save(upright)
    one, two = (next(opened.predict(p, score=0)) for p in (turned, upright))
    assert (one.height, one.width) == (two.height, two.width) == (96, 128)
    assert len(one) and all(m["size"] == [96, 128] for m in one.masks)
    # The pixels differ by what JPEG loses, so the best few are compared, and not exactly.
    best = min(5, len(one), len(two))
    np.testing.assert_allclose(one.scores[:best], two.scores[:best], rtol=0.1)
    boxes = [r.bboxes[:best, :2] + r.bboxes[:best, 2:] / 2 for r in (one, two)]
    distance = np.linalg.norm(boxes[0][:, None] - boxes[1], axis=2).min(axis=1)
    assert np.median(distance) < 3
    with Image.open(one.save_to_img(tmp_path / "drawn.png")) as drawn:
        assert drawn.size == (128, 96)


def test_evaluate_gives_the_metrics_by_class(opened, demo, labels, tmp_path):
    stats = opened.evaluate(demo.test)
    assert {"stats", "class_stats", "bbox_stats", "bbox_class_stats"} <= stats.keys()
    assert list(stats["class_stats"]) == labels
    same = opened.evaluate(demo.test, tmp_path / "metrics")
    assert same["class_stats"] == stats["class_stats"]
    written = json.loads((tmp_path / "metrics" / "test_stats.json").read_text("utf-8"))
    assert written == same
    report = (tmp_path / "metrics" / "report.html").read_text("utf-8")
    assert all(label in report for label in labels)
    with pytest.raises(FileError, match="exists"):
        opened.evaluate(demo.test, tmp_path / "metrics")


def test_other_category_ids_do_not_matter(opened, demo, tmp_path):
    data = tmp_path / "test"
    shutil.copytree(demo.test.parent, data)
    coco = json.loads((data / "segm.json").read_text())
    other = {1: 30, 2: 10, 3: 20}
    for category in coco["categories"]:
        category["id"] = other[category["id"]]
    coco["categories"].reverse()
    for item in coco["annotations"]:
        item["category_id"] = other[item["category_id"]]
    (data / "segm.json").write_text(json.dumps(coco))
    before, after = (opened.evaluate(file) for file in (demo.test, data / "segm.json"))
    assert before["stats"] == pytest.approx(after["stats"])
    for name, values in before["class_stats"].items():
        assert values == pytest.approx(after["class_stats"][name])


def test_images_that_cannot_be_evaluated_are_named(opened, demo, tmp_path):
    shutil.copytree(demo.test.parent, tmp_path / "test")
    image = tmp_path / "test" / "images" / "test_002.jpg"
    Image.new("RGB", (64, 48)).save(image)
    with pytest.raises(DataError, match=r"test_002\.jpg.*64 x 48"):
        opened.evaluate(tmp_path / "test" / "segm.json", tmp_path / "metrics")
    image.unlink()
    with pytest.raises(FileError, match=r"test_002\.jpg"):
        opened.evaluate(tmp_path / "test" / "segm.json", tmp_path / "metrics")
    assert not (tmp_path / "metrics").exists()


def test_a_folder_of_images_is_predicted_like_its_coco_file(opened, demo):
    folder = [r.scores for r in opened.predict(demo.test.parent / "images", score=0)]
    file = [r.scores for r in opened.predict(demo.test, score=0)]
    assert all((a == b).all() for a, b in zip(folder, file, strict=True))


def test_a_part_of_a_name_is_enough(labels):
    model = cvtk.create_model("rtmdet-ins_tiny", labels=labels)
    assert model.config.stem == "rtmdet-ins_tiny_8xb32-300e_coco"
    assert model.task == "segm"


def test_a_label_file_is_read(demo):
    model = cvtk.create_model("rtmdet_tiny_8xb32-300e_coco", labels=demo.label)
    assert model.classes == demo.label.read_text().split()
    assert model.task == "det"


def test_what_is_missing_is_said(demo, labels, tmp_path):
    with pytest.raises(ModelError, match="labels"):
        cvtk.create_model("rtmdet-ins_tiny")
    with pytest.raises(FileError, match=r"none\.pth"):
        cvtk.create_model(tmp_path / "none.pth")
    model = cvtk.create_model("rtmdet-ins_tiny", labels=labels)
    with pytest.raises(ModelError, match="no weights"):
        next(model.predict(demo.test))
    with pytest.raises(OptionError, match=r"\.pth"):
        model.train(demo.train, output_weights=tmp_path / "model.bin")
    assert not list(tmp_path.iterdir())


def test_a_second_training_in_one_program_has_its_own_log(
    trained, demo, labels, tmp_path
):
    # `trained` is the first; MMEngine would write the numbers of both to its log.
    model = cvtk.create_model("rtmdet_tiny_8xb32-300e_coco", labels=labels)
    model.train(
        demo.train,
        output_weights=tmp_path / "a.v2.pth",
        epoch=1,
        batch_size=4,
        num_workers=0,
        image_size=64,
        weights="none",
        device="cpu",
    )
    table = (tmp_path / "a.v2.train_stats.train.txt").read_text().splitlines()
    assert len(table) == 2, "a header and one epoch"
    assert "loss_mask" not in table[0]
    (log,) = trained.weights.with_suffix("").glob("*/vis_data/scalars.json")
    assert len(log.read_text().splitlines()) == 1, "one epoch, as before"


def test_what_is_no_argument_is_named(labels):
    model = cvtk.create_model("rtmdet-ins_tiny", labels=labels)
    with pytest.raises(TypeError, match=r"no argument 'epohc'.*Did you mean 'epoch'"):
        model.train("train.json", output_weights="a.pth", epohc=3)


def test_it_shows_what_it_is(trained, labels):
    assert str(trained.weights) in repr(trained) and ", ".join(labels) in repr(trained)
    fresh = cvtk.create_model("rtmdet-ins_tiny", labels=labels)
    assert "not trained" in repr(fresh)
