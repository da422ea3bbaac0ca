"""A user's mistakes, through both kinds of script: each ends in one line that names what to do."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from PIL import Image

pytest.importorskip("mmdet", reason="needs MMDetection")

from cvtk.scripts.create import create_script

MODEL = "rtmdet-ins_tiny_8xb32-300e_coco"


@pytest.fixture
def fails(tmp_path, call, demo):
    """Runs a command of a script in `tmp_path`, and gives the line that it ends with."""
    shutil.copytree(demo.folder, tmp_path / "data")

    def run(
        command, *more, model=MODEL, task="segm", **changes
    ):  # a model written by hand
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
            "evaluate": {"data": "data/test/segm.json", "output": "metrics"},
            "inference": {"data": "data/test/images", "output": "results"},
        }[command]
        options = {**options, **changes}
        arguments = [w for k, v in options.items() for w in (f"--{k}", str(v))]
        done = call(script, command, *arguments, *more)
        assert done.returncode == 1, done.stdout + done.stderr
        (line,) = done.stderr.splitlines()
        assert line.startswith("Error: ")
        return line

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
    assert "60 x 50" in line and "128 x 96" in line and "annotation 3" in line


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
def test_results_that_exist_are_kept(kind, file, tmp_path, fails, weights):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / file).write_text("mine")
    line = fails(kind, model_weights=weights, output="mine")
    assert file in line and "--force" in line
    assert (tmp_path / "mine" / file).read_text() == "mine"


@pytest.mark.train
def test_weights_without_their_configuration(tmp_path, fails, weights):
    shutil.copy(weights, tmp_path / "a.pth")
    assert "a.py" in fails("inference", model_weights="a.pth")


@pytest.mark.train
def test_other_labels_than_those_of_the_weights(tmp_path, fails, weights):
    (tmp_path / "other.txt").write_text("a\nb\nc\n")
    line = fails("inference", model_weights=weights, label="other.txt")
    assert "['a', 'b', 'c']" in line


@pytest.mark.train
@pytest.mark.parametrize("data", ["none.jpg", "empty", "list.txt", "broken.jpg"])
def test_images_that_cannot_be_read(data, tmp_path, fails, weights):
    (tmp_path / "empty").mkdir()
    (tmp_path / "list.txt").write_text("data/test/images/none.jpg\n")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff no more")
    line = fails("inference", model_weights=weights, data=data)
    assert ("images/none.jpg" if data == "list.txt" else data) in line
    assert not (tmp_path / "results/instances.json").exists()


def test_all_wrong_options_are_told_at_once(tmp_path, call, demo):
    script = create_script(tmp_path / "segm.py", "segm", MODEL)
    data = ["--label", str(demo.label), "--train", str(demo.train)]
    wrong = ["--epoch", "0", "--lr", "nan", "--device", "tpu", "--seed", "-1"]
    done = call(script, "train", *data, "--output_weights", "a.pth", *wrong)
    assert done.returncode == 1
    first, *others = done.stderr.splitlines()
    assert first == "Error: 4 options cannot be used:"
    for line, name in zip(others, ("epoch", "lr", "seed", "device"), strict=True):
        assert line.startswith(f"--{name} cannot be ") and ". Use " in line
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("kind", "option", "value"),
    [
        ("train", "epoch", "-1"),
        ("train", "batch_size", "0"),
        ("train", "batch_size", "some"),
        ("train", "lr", "inf"),
        ("train", "image_size", "100000"),
        ("train", "set", "=5"),
        ("inference", "score", "2"),
        ("inference", "score", "nan"),
        ("inference", "batch_size", "-1"),
        ("inference", "device", "cuda:x"),
    ],
)
def test_a_value_out_of_range(kind, option, value, fails, weights):
    more = {} if kind == "train" else {"model_weights": weights}
    line = fails(kind, **{option: value}, **more)
    assert f"--{option} cannot be" in line and "Use " in line


def test_a_stopped_training_is_named_and_kept(tmp_path, fails):
    workspace = tmp_path / "out/fruit"
    workspace.mkdir(parents=True)
    (workspace / ".cvtk-training").touch()
    (workspace / "epoch_3.pth").write_text("precious")
    line = fails("train")
    assert "out/fruit" in line and "stopped after epoch 3" in line
    assert "--resume" in line and "--force" in line
    assert (workspace / "epoch_3.pth").read_text() == "precious"


def test_a_folder_of_ones_own_is_kept(tmp_path, fails):
    mine = tmp_path / "out/fruit/epoch_1.jpg"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    (mine.parent / "epoch_1.pth").write_text("mine too")
    for more in ([], ["--force"], ["--resume"]):
        line = fails("train", *more)
        assert "out/fruit" in line and "another name" in line
    assert mine.read_text() == "mine"
    assert (mine.parent / "epoch_1.pth").read_text() == "mine too"


# The vanilla script says fewer things, and ends as well without a traceback.


@pytest.fixture
def vanilla(tmp_path, call, demo):
    """Runs `train` of a vanilla script, and gives the line that it ends with."""
    script = create_script(tmp_path / "segm.py", "segm", MODEL, vanilla=True)
    shutil.copytree(demo.folder, tmp_path / "data")

    def run(*more, code=1, **changes):
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
        done = call(script, "train", *arguments, *more)
        assert done.returncode == code, done.stdout + done.stderr
        assert not (tmp_path / "out/fruit.pth").exists()
        line = done.stderr.splitlines()[-1]
        assert code == 2 or line.startswith("Error: ")
        return line

    return run


@pytest.mark.parametrize("mode", ["helper", "vanilla"])
def test_a_configuration_that_would_replace_the_script(mode, tmp_path, call, demo):
    script = create_script(tmp_path / "a.py", "segm", MODEL, vanilla=mode == "vanilla")
    before = script.read_bytes()
    data = ["--label", str(demo.label), "--train", str(demo.train), "--device", "cpu"]
    done = call(script, "train", *data, "--output_weights", "a.pth", "--force")
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1 and line.startswith("Error: ")
    assert "a.py" in line
    assert script.read_bytes() == before


def test_vanilla_through_a_real_command_line(tmp_path, command, demo):
    script = create_script(tmp_path / "segm.py", "segm", MODEL, vanilla=True)
    data = ("--label", str(demo.label), "--train", "no such.json", "--device", "cpu")
    done = command(script, "train", *data, "--output_weights", "out/a.pth")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "no such.json" in done.stderr.strip().splitlines()[-1]
    assert not (tmp_path / "out/a.pth").exists()


def test_vanilla_and_files_that_are_not_there(vanilla):
    assert "none.txt" in vanilla(label="none.txt")
    assert "none.json" in vanilla(train="none.json")
    assert "none.json" in vanilla(valid="none.json")
    assert "none.pth" in vanilla(weights="none.pth")


@pytest.mark.parametrize(
    "content", ['{"images": [}', "[]", '{"a": 1}', "{}", '{"images": [], "a": 1}']
)
def test_vanilla_and_files_that_are_something_else(content, vanilla, tmp_path):
    (tmp_path / "data/train/segm.json").write_text(content)
    assert "data/train/segm.json" in vanilla()


def test_vanilla_and_other_classes(vanilla, tmp_path):
    (tmp_path / "data/label.txt").write_text("apple\n")
    line = vanilla()
    assert "data/train/segm.json" in line and "apple" in line


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("epoch", "0"),
        ("batch_size", "-1"),
        ("batch_size", "auto"),
        ("num_workers", "-1"),
        ("lr", "nan"),
        ("image_size", "5"),
        ("seed", "-1"),
        ("accumulate", "0"),
    ],
)
def test_vanilla_and_numbers_out_of_range(option, value, vanilla):
    # checked by argparse, which ends with exit code 2
    assert f"--{option}" in vanilla(code=2, **{option: value})


def test_vanilla_and_choices_that_there_are_not(vanilla):
    assert "tpu" in vanilla(device="tpu")
    assert "--early_stop needs --valid" in vanilla(early_stop="3")
    assert ".pth" in vanilla(output_weights="out/fruit.bin")


def test_vanilla_and_a_key_that_there_is_not(vanilla):
    assert "optimzer" in vanilla("--set", "optim_wrapper.optimzer.lr=1")
    assert "model.neck" in vanilla("--set", "model.neck"), "it sets nothing"


def test_vanilla_and_weights_of_another_architecture(vanilla, tmp_path):
    import torch

    torch.save({"state_dict": {"a": torch.ones(1)}}, tmp_path / "other.pth")
    assert "other.pth is of another architecture" in vanilla(weights="other.pth")


@pytest.mark.train
def test_vanilla_and_a_missing_image(vanilla, tmp_path):
    # It does not look at the images beforehand, and says so; MMDetection names the one.
    (tmp_path / "data/train/images/train_002.jpg").unlink()
    assert "train_002.jpg" in vanilla()


def test_a_mistake_in_the_vanilla_script_keeps_its_traceback(tmp_path, call, demo):
    script = create_script(tmp_path / "segm.py", "segm", MODEL, vanilla=True)
    text = script.read_text()
    assert text.count('cfg["resume"] = ') == 1
    script.write_text(text.replace('cfg["resume"] = ', 'cfg["resumed"]["a"] = '))
    data = ["--label", str(demo.label), "--train", str(demo.train), "--device", "cpu"]
    with pytest.raises(KeyError, match="resumed"):
        call(script, "train", *data, "--output_weights", "a.pth", "--weights", "none")


@pytest.mark.train
def test_a_loss_that_is_not_a_number_ends_the_vanilla_training(vanilla):
    assert "not a number" in vanilla(lr="1000", epoch="3", batch_size="2")
