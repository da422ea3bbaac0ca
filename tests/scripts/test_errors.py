"""A user's mistakes, through the helper script: each ends in one line that names what to do."""

from __future__ import annotations

import json
import re
import shutil
import sys

import pytest
from PIL import Image

pytest.importorskip("mmdet", reason="needs MMDetection")

from cvtk.scripts.create import create_script

MODEL = "rtmdet-ins_tiny_8xb32-300e_coco"


@pytest.fixture
def fails(tmp_path, load, monkeypatch, demo):
    """Runs a command of a script in `tmp_path`, and gives the line that it ends with."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(demo.folder, tmp_path / "data")

    def run(command, model=MODEL, task="segm", **changes):  # a model written by hand
        script = create_script(tmp_path / "segm.py", task, MODEL, force=True)
        script.write_text(script.read_text().replace(f'"{MODEL}"', f'"{model}"'))
        options = {
            "train": {
                "label": "data/label.txt",
                "train": "data/train/segm.json",
                "output_weights": "out/fruit.pth",
                "weights": "none",
                "device": "cpu",
            },
            "evaluate": {"data": "data/test/segm.json", "output": "figures"},
            "inference": {"data": "data/test/images", "output": "results"},
        }[command]
        options = {**options, **changes}
        arguments = [w for k, v in options.items() for w in (f"--{k}", str(v))]
        module = load(script)
        monkeypatch.setattr(sys, "argv", ["segm.py", command, *arguments])
        with pytest.raises(SystemExit) as end:
            module.cvtk.run(module.main)
        # Python writes such a text to stderr, and the exit code is 1.
        assert isinstance(end.value.code, str)
        assert end.value.code.startswith("Error: ")
        assert "\n" not in end.value.code
        return end.value.code

    return run


def change(file, function):
    """Rewrites a COCO file."""
    content = json.loads(file.read_text())
    function(content)
    file.write_text(json.dumps(content))


@pytest.fixture
def spoiled(tmp_path, fails):
    """Trains on a set that a function has changed."""

    def run(function, **options):
        change(tmp_path / "data/train/segm.json", function)
        return fails("train", **options)

    return run


def test_through_a_real_command_line(tmp_path, command, demo):
    script = create_script(tmp_path / "segm.py", "segm", MODEL)
    data = ("--label", str(demo.label), "--train", "no such.json")
    done = command(script, "train", *data, "--output_weights", "out/a.pth")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("Error: ") and "no such.json" in line
    assert not (tmp_path / "out/a.pth").exists()


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_a_file_that_is_not_there(split, fails):
    assert "data/none.json" in fails("train", **{split: "data/none.json"})


def test_labels_that_are_not_there(fails):
    assert "none.txt" in fails("train", label="none.txt")


def test_no_json(tmp_path, fails):
    (tmp_path / "data/train/segm.json").write_text('{"images": [}')
    line = fails("train")
    assert "data/train/segm.json" in line and "JSON" in line


@pytest.mark.parametrize("content", [[], {"a": 1}, {"images": [], "annotations": 3}])
def test_no_coco(content, tmp_path, fails):
    (tmp_path / "data/train/segm.json").write_text(json.dumps(content))
    assert "data/train/segm.json" in fails("train")


def test_a_misspelt_class(tmp_path, fails):
    names = (tmp_path / "data/label.txt").read_text().split()
    odd = names[0][:-1]
    (tmp_path / "data/label.txt").write_text("\n".join([odd, *names[1:]]))
    line = fails("train")
    assert str(names) in line and str([odd, *names[1:]]) in line
    assert f"Did you mean '{odd}'" in line or f"Did you mean '{names[0]}'" in line


def test_a_category_that_only_the_validation_set_has(tmp_path, fails):
    def rename(coco):
        coco["categories"][0]["name"] += "s"

    change(tmp_path / "data/valid/segm.json", rename)
    line = fails("train", valid="data/valid/segm.json")
    assert "data/valid/segm.json" in line and "Did you mean" in line


def test_an_unknown_model(fails):
    line = fails("train", model="rtmdet-ins_tyni_8xb32-300e_coco")
    assert "rtmdet-ins_tyni" in line
    assert f"Did you mean '{MODEL}'" in line


def test_a_model_for_another_task(fails):
    line = fails("train", model="rtmdet_tiny_8xb32-300e_coco")
    assert "rtmdet_tiny_8xb32-300e_coco" in line and "det" in line


def test_a_configuration_file_that_is_not_there(fails):
    assert "my/conf.py" in fails("train", model="my/conf.py")


def test_a_missing_image(tmp_path, fails):
    (tmp_path / "data/train/images/train_002.jpg").unlink()
    assert "train_002.jpg" in fails("train")


def test_a_truncated_image(tmp_path, fails):
    image = tmp_path / "data/train/images/train_002.jpg"
    image.write_bytes(image.read_bytes()[:700])
    assert "train_002.jpg" in fails("train")


def test_an_image_that_is_none(tmp_path, fails):
    (tmp_path / "data/train/images/train_002.jpg").write_text("I am no image")
    assert "train_002.jpg" in fails("train")


def test_an_image_of_another_size(tmp_path, fails):
    Image.new("RGB", (64, 48)).save(tmp_path / "data/train/images/train_002.jpg")
    line = fails("train")
    assert "train_002.jpg" in line
    assert re.search(r"64\D+48", line) and re.search(r"128\D+96", line)


def test_a_polygon_of_two_points(spoiled):
    def spoil(coco):
        coco["annotations"][2]["segmentation"] = [[1.0, 2, 30, 40]]

    line = spoiled(spoil)
    assert "three points" in line and "annotation 3" in line
    assert "data/train/segm.json" in line


def test_a_mask_of_another_size(spoiled):
    def spoil(coco):
        mask = {"size": [50, 60], "counts": [100, 200, 2700]}
        coco["annotations"][2]["segmentation"] = mask

    line = spoiled(spoil)
    assert "[50, 60]" in line and "[96, 128]" in line and "annotation 3" in line


def test_no_annotation(spoiled):
    line = spoiled(lambda coco: coco["annotations"].clear())
    assert "no annotations" in line and "data/train/segm.json" in line


def test_no_mask(spoiled):
    line = spoiled(lambda coco: coco["annotations"][2].pop("segmentation"))
    assert "no mask" in line and "--task det" in line


def test_weights_that_exist_are_kept(tmp_path, fails):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/fruit.pth").write_text("mine")
    line = fails("train")
    assert "out/fruit.pth" in line and "--force" in line
    assert (tmp_path / "out/fruit.pth").read_text() == "mine"


def test_an_unknown_device(fails):
    line = fails("train", device="tpu")
    assert "'tpu'" in line and "--device" in line


def test_weights_that_are_not_there_to_start_from(fails):
    assert "none.pth" in fails("train", weights="none.pth")


@pytest.mark.parametrize("kind", ["evaluate", "inference"])
def test_no_weights(kind, fails):
    assert "none.pth" in fails(kind, model_weights="none.pth")


@pytest.mark.train
@pytest.mark.parametrize(
    ("kind", "file"), [("evaluate", "test_stats.json"), ("inference", "instances.json")]
)
def test_results_that_exist_are_kept(kind, file, tmp_path, fails, runs):
    weights = runs("segm", "helper").named(".pth")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / file).write_text("mine")
    line = fails(kind, model_weights=weights, output="mine")
    assert file in line and "--force" in line
    assert (tmp_path / "mine" / file).read_text() == "mine"


@pytest.mark.train
def test_weights_without_their_configuration(tmp_path, fails, runs):
    shutil.copy(runs("segm", "helper").named(".pth"), tmp_path / "a.pth")
    assert "a.py" in fails("inference", model_weights="a.pth")


@pytest.mark.train
def test_other_labels_than_those_of_the_weights(tmp_path, fails, runs):
    (tmp_path / "other.txt").write_text("a\nb\nc\n")
    weights = runs("segm", "helper").named(".pth")
    line = fails("inference", model_weights=weights, label="other.txt")
    assert "['a', 'b', 'c']" in line


@pytest.mark.train
@pytest.mark.parametrize("data", ["none.jpg", "empty", "list.txt", "broken.jpg"])
def test_images_that_cannot_be_read(data, tmp_path, fails, runs):
    (tmp_path / "empty").mkdir()
    (tmp_path / "list.txt").write_text("data/test/images/none.jpg\n")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff no more")
    weights = runs("segm", "helper").named(".pth")
    line = fails("inference", model_weights=weights, data=data)
    assert ("images/none.jpg" if data == "list.txt" else data) in line
    assert not (tmp_path / "results/instances.json").exists()


# The vanilla script says fewer things, and ends as well without a traceback.


@pytest.fixture
def vanilla(tmp_path, command, demo):
    """Runs `train` of a vanilla script, and gives what it said."""
    script = create_script(tmp_path / "segm.py", "segm", MODEL, vanilla=True)
    shutil.copytree(demo.folder, tmp_path / "data")

    def run(*more, **changes):
        options = {
            "label": "data/label.txt",
            "train": "data/train/segm.json",
            "output_weights": "out/fruit.pth",
            "weights": "none",
            "device": "cpu",
            "num_workers": "0",
            "image_size": "64",
            **changes,
        }
        arguments = [w for k, v in options.items() for w in (f"--{k}", v)]
        done = command(script, "train", *arguments, *more)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "out/fruit.pth").exists()
        return done.stdout + done.stderr

    return run


@pytest.mark.parametrize("mode", ["helper", "vanilla"])
def test_a_configuration_that_would_replace_the_script(mode, tmp_path, command, demo):
    script = create_script(tmp_path / "a.py", "segm", MODEL, vanilla=mode == "vanilla")
    before = script.read_bytes()
    data = ["--label", str(demo.label), "--train", str(demo.train), "--device", "cpu"]
    done = command(script, "train", *data, "--output_weights", "a.pth", "--force")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "name" in done.stderr.strip().splitlines()[-1]
    assert script.read_bytes() == before


@pytest.mark.train
def test_vanilla_and_files_that_are_not_there(vanilla, tmp_path):
    assert "none.txt" in vanilla(label="none.txt")
    assert "none.json" in vanilla(train="none.json")
    assert "none.pth" in vanilla(weights="none.pth")
    next((tmp_path / "data/train/images").iterdir()).unlink()
    assert "data/train/images" in vanilla()


@pytest.mark.train
def test_vanilla_and_files_that_are_something_else(vanilla, tmp_path):
    file = tmp_path / "data/train/segm.json"
    for content in ('{"images": [}', "[]", '{"a": 1}', "{}"):
        file.write_text(content)
        said = vanilla()
        assert "Error: " in said or "data/train/segm.json: no images" in said, content


@pytest.mark.train
def test_vanilla_and_choices_that_there_are_not(vanilla, tmp_path):
    assert "'optimzer'" in vanilla("--set", "optim_wrapper.optimzer.lr=1")
    assert "Error: " in vanilla("--set", "model.neck"), "it sets nothing"
    (tmp_path / "data/label.txt").write_text("apple\n")
    assert "data/train/segm.json: no images, or other classes" in vanilla()


@pytest.mark.train
def test_vanilla_and_weights_of_another_architecture(vanilla, tmp_path):
    import torch

    torch.save({"state_dict": {"a": torch.ones(1)}}, tmp_path / "other.pth")
    assert "other.pth is of another architecture" in vanilla(weights="other.pth")
