"""Trained weights and the configuration beside them: what does not fit or would run code ends in one line."""

from __future__ import annotations

import pytest

pytest.importorskip("mmdet", reason="needs MMDetection")

import torch
from configurations import fitted
from mmengine.config import Config

from cvtk.engine.predict import Predictor, load_network
from cvtk.engine.spec import open_weights
from cvtk.errors import CvtkError, FileError, ModelError

RTMDET = "rtmdet_tiny_8xb32-300e_coco"


def write(folder, **changes):
    """The configuration of a training on three classes, `a.py`, and its network's weights, `a.pth`."""
    from mmdet.registry import MODELS
    from mmengine.registry import init_default_scope

    cfg = Config(fitted(RTMDET, task="det", weights="none"))
    init_default_scope("mmdet")
    state = MODELS.build(cfg.model).state_dict()
    cfg.merge_from_dict(changes)
    cfg.dump(folder / "a.py")
    torch.save({"state_dict": state, "meta": {}}, folder / "a.pth")
    return state


@pytest.fixture(scope="module")
def trained(make_folder):
    folder = make_folder("trained")
    return folder, write(folder)


@pytest.fixture
def weights(trained, tmp_path):
    """A copy, to damage."""
    for name in ("a.py", "a.pth"):
        (tmp_path / name).write_bytes((trained[0] / name).read_bytes())
    return tmp_path / "a.pth"


def refused(weights, match, kind=ModelError):
    with pytest.raises(kind, match=match) as error:
        Predictor(open_weights(weights), "cpu")
    text = str(error.value)
    assert "\n" not in text and len(text) < 900
    return text


def test_what_a_training_left_is_opened(weights, trained):
    spec = open_weights(weights)
    assert (spec.task, spec.classes, spec.category_ids) == (
        "det",
        ["a", "b", "c"],
        [1, 2, 3],
    )
    state = load_network(spec, "cpu").state_dict()
    assert all(torch.equal(state[name], value) for name, value in trained[1].items())


def missing(state):
    return {k: v for k, v in state.items() if "bbox_head" not in k}


def renamed(state):
    return {f"x.{k}": v for k, v in state.items()}


def other_shapes(state):
    return {k: v[:1] if v.ndim else v for k, v in state.items()}


def on_meta(state):
    return {k: v.to("meta") for k, v in state.items()}


def one_text(state):
    return {**state, next(iter(state)): "text"}


def one_more(state):
    return {**state, "more": torch.ones(1)}


@pytest.mark.parametrize(
    "damage",
    [missing, renamed, other_shapes, on_meta, one_text, one_more],
    ids=lambda f: f.__name__,
)
def test_weights_that_do_not_fit_are_told(damage, weights, trained):
    torch.save({"state_dict": damage(trained[1])}, weights)
    refused(weights, r"a\.pth")


@pytest.mark.parametrize(
    "content", [[1], "text", torch.ones(1), None, {"state_dict": [1]}]
)
def test_what_is_no_weights_is_told(content, weights):
    torch.save(content, weights)
    refused(weights, "holds no weights")


@pytest.mark.parametrize("length", [0, 1, 1000, 100_000])
def test_weights_that_are_cut_off_are_told(length, weights):
    weights.write_bytes(weights.read_bytes()[:length])
    refused(weights, "was not loaded")


def test_code_in_weights_does_not_run(weights, trained, bomb):
    trap, target = bomb
    torch.save({"state_dict": trained[1], "meta": trap}, weights)
    refused(weights, r"mkdir.*trust_weights=True")
    assert not target.exists()


@pytest.mark.parametrize("name", ["a.pth", "a.py"])
def test_a_missing_file_is_told(name, weights):
    weights.with_name(name).unlink()
    refused(weights, name.replace(".", r"\."), FileError)


@pytest.mark.parametrize("name", ["a.pth", "a.py"])
def test_a_folder_in_the_place_of_a_file_is_told(name, weights):
    weights.with_name(name).unlink()
    weights.with_name(name).mkdir()
    refused(weights, name.replace(".", r"\."), CvtkError)


CONFIGURATIONS = {
    "": "is not the configuration of a training",
    "a = 1": "is not the configuration of a training",
    "model = 5": "is not the configuration of a training",
    "model = dict(type='NoSuchNetwork')": "does not describe a network",
    "model = dict(type='RTMDet', a=1)": "does not describe a network",
    "model = dict(type='RTMDet', backbone=5, neck=6, bbox_head=7)": "does not describe a network",
    "model = dict(a=1)": "is not the configuration of a training",
    "model = dict(type='os.mkdir', path='hacked')": r"it would call os\.mkdir",
}
DATA = """
test_evaluator = dict(metric=['bbox'])
test_dataloader = dict(dataset=dict(pipeline=[], metainfo=dict(classes=('a', 'b', 'c'))))
"""


@pytest.mark.parametrize("text", CONFIGURATIONS)
def test_a_configuration_that_is_none_is_told(text, weights):
    has_data = "model" in text
    weights.with_suffix(".py").write_text(text + DATA * has_data)
    refused(weights, CONFIGURATIONS[text])


@pytest.mark.parametrize(
    "metainfo", ["5", "dict()", "dict(classes=5)", "dict(classes=())", "dict(classes=(1, 2))",
                 "dict(classes=('a', 'a'))", "dict(classes=('a',), category_ids=(1, 2))",
                 "dict(classes=('a',), category_ids=('x',))", "dict(classes=('a', 'b'), category_ids=(1, 1))"],
)  # fmt: skip
def test_classes_that_are_none_are_told(metainfo, weights):
    text = "model = dict(type='RTMDet')" + DATA.replace(
        "dict(classes=('a', 'b', 'c'))", metainfo
    )
    weights.with_suffix(".py").write_text(text)
    refused(weights, "is not the configuration of a training")


def test_a_teacher_that_would_run_code_is_not_opened(weights, bomb, tmp_path):
    # Networks that learn from another one load it as they are built, also to predict.
    trap, target = bomb
    torch.save({"state_dict": {}, "meta": trap}, tmp_path / "evil.pth")
    model = Config.fromfile(weights.with_suffix(".py")).model.to_dict()
    head = {**model["bbox_head"], "type": "RTMDetSepBNHead"}
    teacher = {
        k: model[k] for k in ("type", "backbone", "neck", "train_cfg", "test_cfg")
    }
    lesson = {
        **{k: v for k, v in teacher.items() if k != "type"},
        "type": "KnowledgeDistillationSingleStageDetector",
        "bbox_head": head,
        "teacher_config": {"model": {**teacher, "bbox_head": head}},
        "teacher_ckpt": str(tmp_path / "evil.pth"),
    }
    cfg = Config.fromfile(weights.with_suffix(".py")).to_dict()
    Config({**cfg, "model": lesson}).dump(weights.with_suffix(".py"))
    refused(weights, "mkdir")
    assert not target.exists()
