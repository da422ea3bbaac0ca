"""What the scripts of both kinds leave, and that the two leave the same."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.mask import area as mask_area

pytest.importorskip("mmdet", reason="needs MMDetection")

from cvtk.engine.weights import read_weights
from cvtk.scripts.create import create_script

pytestmark = pytest.mark.train

MODES = ("helper", "vanilla")
AREAS = ("small", "medium", "large")
KEYS = [
    "AP@[0.50:0.95|all|100]",
    "AP@[0.50|all|1000]",
    "AP@[0.75|all|1000]",
    *(f"AP@[0.50:0.95|{area}|1000]" for area in AREAS),
    *(f"AR@[0.50:0.95|all|{most}]" for most in (100, 300, 1000)),
    *(f"AR@[0.50:0.95|{area}|1000]" for area in AREAS),
]
TIMES = ["data_time", "time", "memory", "step"]


@pytest.fixture(params=["segm", "det"], scope="module")
def task(request):
    return request.param


@pytest.fixture(params=MODES, scope="module")
def run(request, runs, task):
    return runs(task, request.param)


@pytest.fixture
def both(runs, task):
    return [runs(task, mode) for mode in MODES]


def config(run):
    from mmengine.config import Config

    return Config.fromfile(run.named(".py"))


def table(run, split):
    return pd.read_csv(run.named(f".train_stats.{split}.txt"), sep="\t")


def test_training_writes_the_files_that_are_promised(run):
    for ending in (".pth", ".py", ".test_stats.json"):
        assert run.named(ending).is_file(), ending
    for split in ("train", "valid"):
        assert run.named(f".train_stats.{split}.txt").is_file()
        with Image.open(run.named(f".train_stats.{split}.png")) as plot:
            assert min(plot.size) > 200
    assert run.named("/test_outputs.coco.json").is_file()
    assert list(run.named("").glob("*/*.log")), "the workspace has the log"
    assert list(run.named("").glob("epoch_3.pth")), "and a checkpoint to resume from"


def test_no_unfinished_file_is_left(run):
    left = {p.name.replace("fruit.v2", "fruit") for p in run.named("").parent.iterdir()}
    stats = {
        f"fruit.train_stats.{s}.{e}" for s in ("train", "valid") for e in ("txt", "png")
    }
    if run.mode == "helper":
        stats |= {f"fruit.train_stats.classes.{e}" for e in ("txt", "png")}
        stats |= {"fruit.card.json", "fruit.methods.md"}
    assert left == {"fruit", "fruit.pth", "fruit.py", "fruit.test_stats.json"} | stats


def test_the_table_of_losses_has_a_row_an_epoch(run):
    losses = table(run, "train")
    assert list(losses["epoch"]) == [1, 2, 3]
    columns = list(losses.columns)
    assert columns[:4] == ["epoch", "lr", "data_time", "loss"]
    assert columns[-2:] == ["time", "memory"]
    parts = ["loss_cls", "loss_bbox", "loss_mask"][: 3 if run.task == "segm" else 2]
    assert columns[4:-2] == parts
    assert np.isfinite(losses.to_numpy(float)).all()
    np.testing.assert_allclose(losses[parts].sum(axis=1), losses["loss"], rtol=1e-5)


def test_each_number_of_the_table_is_the_mean_of_its_epoch(run):
    # MMEngine keeps the loss of each step in its checkpoints.
    kept = read_weights(run.named("") / "epoch_3.pth")["message_hub"]["log_scalars"]
    losses, _ = kept["train/loss"].data
    assert len(losses) == 6, "four images, two a step, three epochs"
    for epoch, row in table(run, "train").groupby("epoch"):
        mean = np.mean(losses[2 * epoch - 2 : 2 * epoch])
        assert row["loss"].item() == pytest.approx(mean, abs=1e-9)


def test_the_table_of_validations_has_the_columns_of_the_tutorial(run):
    scores = table(run, "valid")
    kinds = ["bbox", "segm"][: 2 if run.task == "segm" else 1]
    endings = ["", "_50", "_75", "_s", "_m", "_l"]
    expected = [f"coco/{kind}_mAP{end}" for kind in kinds for end in endings]
    assert list(scores.columns) == [*expected, "data_time", "time", "step"]
    assert list(scores["step"]) == [1, 2, 3]
    values = scores[expected].to_numpy()
    assert ((values == -1) | ((values >= 0) & (values <= 1))).all()


def test_the_statistics_have_the_keys_that_are_promised(run, demo):
    stats = json.loads(run.named(".test_stats.json").read_text("utf-8"))
    classes = demo.label.read_text().split()
    names = ["stats", "bbox_stats"][: 2 if run.task == "segm" else 1]
    for name in names:
        assert list(stats[name]) == KEYS
        by_class = stats[name.replace("stats", "class_stats")]
        assert list(by_class) == classes
        assert all(list(values) == KEYS for values in by_class.values())


def test_predictions_of_the_test_set_are_cocos_and_not_thresholded(run, demo):
    truth = COCO(str(demo.test))
    file = run.named("/test_outputs.coco.json")
    found = truth.loadRes(str(file))
    scores = [a["score"] for a in found.anns.values()]
    assert len(scores) > 10 and min(scores) < 0.3
    assert {a["category_id"] for a in found.anns.values()} <= set(truth.cats)
    with_mask = ["segmentation" in a for a in json.loads(file.read_text())]
    assert {*with_mask} == {run.task == "segm"}
    for item in json.loads(file.read_text()):
        _, _, width, height = item["bbox"]
        area = width * height
        if run.task == "segm":
            area = mask_area(item["segmentation"])
        assert item["area"] == pytest.approx(area, rel=1e-5)


def test_the_statistics_are_those_of_the_predictions(run, demo):
    from pycocotools.cocoeval import COCOeval

    truth = COCO(str(demo.test))
    found = json.loads(run.named("/test_outputs.coco.json").read_text())
    kind = "segm" if run.task == "segm" else "bbox"
    if kind == "segm":
        found = [{k: a[k] for k in a if k != "bbox"} for a in found]
    judge = COCOeval(truth, truth.loadRes(found), kind)
    judge.params.maxDets = [100, 300, 1000]
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    told = json.loads(run.named(".test_stats.json").read_text("utf-8"))
    np.testing.assert_allclose(list(told["stats"].values()), judge.stats, atol=1e-9)
    for number in truth.getCatIds():
        judge.params.catIds = [number]
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
        of_class = told["class_stats"][truth.cats[number]["name"]]
        np.testing.assert_allclose(list(of_class.values()), judge.stats, atol=1e-9)


def test_evaluate_finds_what_the_training_found(run):
    first = json.loads(run.named(".test_stats.json").read_text("utf-8"))
    again = json.loads((run.folder / "metrics/test_stats.json").read_text("utf-8"))
    assert again.keys() == first.keys()
    assert flat(again) == flat(first)
    assert (run.folder / "metrics/test_outputs.coco.json").is_file()


def test_the_configuration_reloads(run, demo):
    cfg = config(run)
    assert cfg.model.bbox_head.num_classes == 3
    assert cfg.train_dataloader.batch_size == 2
    assert tuple(cfg.train_dataloader.dataset.metainfo.classes) == tuple(
        demo.label.read_text().split()
    )
    assert cfg.train_cfg.max_epochs == 3


def test_the_weights_load_without_running_code(run):
    import torch
    from mmdet.registry import MODELS
    from mmengine.registry import init_default_scope

    init_default_scope("mmdet")
    file = run.named(".pth")
    weights = torch.load(file, map_location="cpu", weights_only=True)
    model = MODELS.build(config(run).model)
    model.load_state_dict(weights["state_dict"], strict=True)
    assert weights["meta"]["dataset_meta"]["classes"], "MMDetection's tools look there"
    assert all(v.isfinite().all() for v in weights["state_dict"].values())


def test_the_best_epoch_is_the_one_that_is_kept(run):
    scores = table(run, "valid")
    column = "coco/segm_mAP" if run.task == "segm" else "coco/bbox_mAP"
    (log,) = run.named("").glob("*/*.log")
    saved = re.findall(r"at (\d+) epoch is saved to best_", log.read_text())
    assert saved, "the log says which epoch was the best"
    assert scores[column].iloc[int(saved[-1]) - 1] == scores[column].max()


def test_mmengines_own_checkpoint_loads(run):
    from cvtk.engine.weights import read_weights

    weights = read_weights(run.named("/epoch_3.pth"))
    assert "message_hub" in weights, (
        "the history of the losses, HistoryBuffers, is in it"
    )
    assert len(weights["state_dict"]) > 100


def test_inference_writes_coco_and_a_picture_of_each_image(run, demo):
    file = run.folder / "results/instances.json"
    found, truth = COCO(str(file)), COCO(str(demo.test))
    names = sorted(image["file_name"] for image in found.imgs.values())
    assert [n.rsplit("/", 1)[-1] for n in names] == [
        f"test_{n:03d}.jpg" for n in (1, 2, 3)
    ]
    for image in found.imgs.values():
        assert (image["width"], image["height"]) == (128, 96)
        with Image.open(file.parent / image["file_name"]) as picture:
            assert picture.size == (128, 96)
    assert [c["name"] for c in found.cats.values()] == [
        c["name"] for c in truth.cats.values()
    ]
    assert all("supercategory" in category for category in found.cats.values())
    assert len(found.anns) > 0
    for item in found.anns.values():
        expected = {"id", "image_id", "category_id", "bbox", "area", "iscrowd", "score"}
        assert expected <= item.keys()
        assert item["score"] >= 0.002
        if run.task == "segm":
            assert item["segmentation"]["size"] == [96, 128]
            assert isinstance(item["segmentation"]["counts"], str)
            assert found.annToMask(item).sum() == item["area"]


def test_images_of_a_coco_file_keep_their_ids(run, demo, tmp_path, call):
    coco = json.loads(demo.test.read_text())
    for item, key in [(i, "id") for i in coco["images"]] + [
        (a, "image_id") for a in coco["annotations"]
    ]:
        item[key] = 90 - 7 * item[key]
    shutil.copytree(demo.test.parent / "images", tmp_path / "images")
    (tmp_path / "all.json").write_text(json.dumps(coco))
    arguments = ["--data", str(tmp_path / "all.json"), "--output", str(tmp_path / "o")]
    weights = ["--model_weights", str(run.named(".pth")), "--device", "cpu"]
    done = call(run.script, "inference", *arguments, *weights)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "o" / "instances.json").read_text())
    stated = {Path(i["file_name"]).name: i["id"] for i in coco["images"]}
    assert {i["file_name"]: i["id"] for i in found["images"]} == stated


def test_inference_never_draws_over_the_images(run, demo, tmp_path, call):
    shutil.copytree(demo.test.parent / "images", tmp_path / "images")
    before = {p.name: p.read_bytes() for p in (tmp_path / "images").iterdir()}
    folder = ["--data", str(tmp_path / "images"), "--output", str(tmp_path / "images")]
    weights = ["--model_weights", str(run.named(".pth")), "--device", "cpu"]
    done = call(run.script, "inference", *folder, *weights, "--force")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr and "test_001.jpg" in done.stderr
    after = {p.name: p.read_bytes() for p in (tmp_path / "images").iterdir()}
    assert after == before


def test_the_console_shows_each_epoch_and_no_noise(runs, task):
    run = runs(task, "helper")
    for epoch in (1, 2, 3):
        (line,) = re.findall(rf"^.*epoch {epoch}/3.*$", run.output, re.MULTILINE)
        assert re.search(r"loss \d+\.\d{3}", line) and "ETA" in line
        assert "box AP" in line
        assert ("mask AP" in line) is (run.task == "segm")
    assert "Epoch(train)" not in run.output, "the full log belongs into its file"


def test_the_console_of_vanilla_is_mmengines(runs, task):
    run = runs(task, "vanilla")
    for epoch in (1, 2, 3):
        (line,) = re.findall(rf"^.*Epoch\(train\) +\[{epoch}\].*$", run.output, re.M)
        assert "eta: " in line and re.search(r"loss: \d", line)
    assert run.output.count("Epoch(val)") == 3, "what each validation gave"


def test_both_scripts_learn_the_same(both):
    helper, vanilla = (table(run, "train") for run in both)
    assert list(helper.columns) == list(vanilla.columns)
    kept = [c for c in helper if c not in TIMES]
    assert any("loss_" in c for c in kept)
    np.testing.assert_allclose(helper[kept], vanilla[kept], atol=1e-6)


def test_both_scripts_measure_the_same(both):
    helper, vanilla = (table(run, "valid") for run in both)
    assert list(helper.columns) == list(vanilla.columns)
    kept = [c for c in helper if c not in TIMES]
    np.testing.assert_allclose(helper[kept], vanilla[kept], atol=1e-6)
    for file in ("out put/fruit.v2.test_stats.json", "metrics/test_stats.json"):
        one, two = (json.loads((run.folder / file).read_text("utf-8")) for run in both)
        one.pop("cut_at", None)  # the vanilla script chooses no scores
        assert len(flat(one)) >= 4 * len(KEYS)
        assert flat(one) == pytest.approx(flat(two), abs=1e-6)


def flat(node, path=""):
    """{"a": {"b": 1.0, "c": "x"}} -> {"/a/b": 1.0}: all numbers but counts."""
    if not isinstance(node, dict):
        return {path: node} if isinstance(node, float) else {}
    return {k: v for key in node for k, v in flat(node[key], f"{path}/{key}").items()}


def test_both_scripts_find_the_same(both):
    helper, vanilla = (
        json.loads((run.folder / "results/instances.json").read_text("utf-8"))
        for run in both
    )
    assert len(helper["annotations"]) == len(vanilla["annotations"]) > 0
    for one, two in zip(helper["annotations"], vanilla["annotations"], strict=True):
        assert one["bbox"] == pytest.approx(two["bbox"], abs=1e-4)
        assert one["score"] == pytest.approx(two["score"], abs=1e-6)
        for key in ("id", "category_id", "iscrowd"):
            assert one[key] == two[key]


def test_both_scripts_write_the_same_files(both):
    lists = []
    for run in both:
        files = (str(p.relative_to(run.folder)) for p in run.folder.rglob("*.*"))
        # The helper script marks the folder, so as to know it again, and writes more about what it did.
        own = ("cache", ".cvtk-training", "report.html", "figures", ".csv")
        own += (
            "mmdet_recipe.py",
            "worst_cases.coco.json",
            ".card.json",
            ".methods.md",
            ".classes.",
        )
        made = {f for f in files if not any(name in f for name in own)}
        lists.append({re.sub(r"\d{8}_\d{6}|-\w{8}(?=\.pth)", "X", f) for f in made})
    assert lists[0] == lists[1]


@pytest.mark.train
def test_both_scripts_go_on_from_weights_of_other_classes(
    demo, runs, call, command, tmp_path
):
    # Weights for three classes, and a label file with two of them and a new one.
    names = demo.label.read_text().split()
    coco = json.loads(demo.train.read_text())
    for category in coco["categories"]:
        category["name"] = {names[0]: "new"}.get(category["name"], category["name"])
    shutil.copytree(demo.train.parent / "images", tmp_path / "images")
    (tmp_path / "train.json").write_text(json.dumps(coco))
    (tmp_path / "label.txt").write_text("\n".join(["new", *names[1:], "fourth"]))
    coco["categories"].append({"id": 99, "name": "fourth"})
    (tmp_path / "train.json").write_text(json.dumps(coco))
    weights = runs("det", "helper").named(".pth")
    tables, outputs = [], []
    own = read_weights(weights)["state_dict"]
    for mode in ("helper", "vanilla"):
        script = tmp_path / f"{mode}.py"
        model = "rtmdet_tiny_8xb32-300e_coco"
        create_script(script, "det", model, vanilla=mode == "vanilla")
        options = (
            "--epoch 1 --batch_size 2 --image_size 96 --num_workers 0 --device cpu"
        )
        options += (
            f" --label label.txt --train train.json --output_weights {mode}/a.pth"
        )
        run = call if mode == "helper" else command
        done = run(script, "train", *options.split(), "--weights", str(weights))
        assert done.returncode == 0, done.stderr
        table = tmp_path / mode / "a.train_stats.train.txt"
        tables.append(pd.read_csv(table, sep="\t")["loss"].tolist())
        outputs.append(done.stdout)
    start = read_weights(tmp_path / "helper" / "a" / "start.weights")["state_dict"]
    left = {name.rsplit(".", 1)[0] for name in own.keys() - start.keys()}
    assert left and all("rtm_cls" in name for name in left), "the classes alone"
    assert tables[0] == pytest.approx(tables[1], abs=1e-6)
    assert "new for your classes: bbox_head.rtm_cls" in outputs[0]
    (line,) = re.findall("^Starts from .*, but for .*$", outputs[1], re.M)
    named = re.findall(r"'([\w.]+)'", line.split("but for")[1])
    assert {name.rsplit(".", 1)[0] for name in named} == left


@pytest.mark.train
def test_both_scripts_start_from_drawn_scenes(demo, tmp_path, call, command):
    losses = []
    for mode, run in (("helper", call), ("vanilla", command)):
        script = tmp_path / f"{mode}.py"
        model = "rtmdet-ins_tiny_8xb32-300e_coco"
        create_script(script, "segm", model, vanilla=mode == "vanilla")
        options = "--epoch 1 --batch_size 2 --image_size 64 --num_workers 0"
        options += f" --device cpu --weights scenes --output_weights {mode}/a.pth"
        files = ["--label", demo.label, "--train", demo.train]
        done = run(script, "train", *options.split(), *map(str, files))
        assert done.returncode == 0, done.stderr
        assert re.search(r"^Starts from .*scenes", done.stdout, re.M)
        table = tmp_path / mode / "a.train_stats.train.txt"
        losses.append(pd.read_csv(table, sep="\t")["loss"].tolist())
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)
    card = json.loads((tmp_path / "helper" / "a.card.json").read_text("utf-8"))
    scenes = importlib.metadata.version("drawn-scenes")
    assert card["versions"]["drawn-scenes"] == scenes
