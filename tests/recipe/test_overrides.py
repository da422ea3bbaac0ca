"""Keys set by the user: what is read from KEY=VALUE, and what is refused."""

from __future__ import annotations

import math

import pytest
from configurations import sgd
from hypothesis import given
from hypothesis import strategies as st

from cvtk.errors import OptionError
from cvtk.recipe.overrides import apply_overrides, parse_value


def small():
    heads = [{"on": False}, {"size": (3, 4)}]
    model = {"backbone": {"depth": 50, "frozen_stages": 1}, "heads": heads}
    return {**sgd(), "model": model, "randomness": {"seed": 0}, "work_dir": "out"}


SET = {
    "optim_wrapper.optimizer.lr=0.5": ("optim_wrapper", "optimizer", "lr", 0.5),
    "optim_wrapper.optimizer.lr=1e-3": ("optim_wrapper", "optimizer", "lr", 0.001),
    "optim_wrapper.optimizer.type=Adam": ("optim_wrapper", "optimizer", "type", "Adam"),
    "param_scheduler.1.milestones=[4,9]": (
        *("param_scheduler", 1, "milestones"),
        [4, 9],
    ),
    "model.heads.0.on=True": ("model", "heads", 0, "on", True),
    "model.heads.1.size=None": ("model", "heads", 1, "size", None),
    "model.heads.1.size=(5, 6)": ("model", "heads", 1, "size", (5, 6)),
    "model.heads.0={'on': 3}": ("model", "heads", 0, {"on": 3}),
    "model.backbone=None": ("model", "backbone", None),
    "+optim_wrapper.clip_grad.max_norm=35": (
        *("optim_wrapper", "clip_grad", "max_norm"),
        35,
    ),
    "+optim_wrapper.optimizer.lr=0.3": ("optim_wrapper", "optimizer", "lr", 0.3),
    "+model.backbone.text=a=b": ("model", "backbone", "text", "a=b"),
}


@pytest.mark.parametrize("pair", SET)
def test_any_key_is_set_with_the_type_of_its_value(pair):
    cfg, (*path, expected) = small(), SET[pair]
    apply_overrides(cfg, [pair])
    for key in path:
        cfg = cfg[key]
    assert cfg == expected and type(cfg) is type(expected)


def test_the_last_of_two_counts():
    cfg = small()
    apply_overrides(cfg, ["model.backbone.depth=18", "model.backbone.depth=101"])
    assert cfg["model"]["backbone"]["depth"] == 101


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-3.5", -3.5),
        ("1e-3", 0.001),
        ("true", True),
        ("False", False),
        ("None", None),
        ("none", "none"),  # such as a loss' reduction="none"
        ("SGD", "SGD"),
        ("007a", "007a"),
        ("two words", "two words"),
        ("'3'", "3"),
        ('"a, b"', "a, b"),
        ("", ""),
        ("[]", []),
        ("[1, 2]", [1, 2]),
        ("1,2", [1, 2]),
        ("(1, 2)", (1, 2)),
        ("[(1333, 640), (1333, 800)]", [(1333, 640), (1333, 800)]),
        ("['bbox', 'segm']", ["bbox", "segm"]),
        ("[bbox, segm]", ["bbox", "segm"]),  # as in MMEngine
        ("bbox,segm", ["bbox", "segm"]),
        ("[bbox, 3, true]", ["bbox", 3, True]),
        ("{'type': 'BN'}", {"type": "BN"}),
        ("^(?!coco)", "^(?!coco)"),
    ],
)
def test_values(text, value):
    read = parse_value(text)
    assert read == value and type(read) is type(value)


def test_an_infinite_number_can_be_written():
    assert parse_value("1e999") == math.inf


@pytest.mark.parametrize(
    "text", ["[1,2", "(a, b)", "{a: 1}", "[[a], b]", "[a,(b]", "[" * 5000]
)
def test_brackets_that_python_cannot_read_are_refused(text):
    with pytest.raises(ValueError, match=r"close the brackets"):
        parse_value(text)


@pytest.mark.parametrize(
    ("pair", "wrong", "right"),
    [
        ("optim_wrapper.optimzer.lr=0.5", "optimzer", "optimizer"),
        ("model.backbone.dept=18", "dept", "depth"),
        ("mode.backbone.depth=18", "mode", "model"),
        ("param_scheduler.7.end=3", "7", "1"),
        ("model.backbone.depth.more=1", "more", "nothing is inside"),
        ("+model.heads.2.on=True", "2", "1"),
        ("=5", "", "the nearest is"),
    ],
)
def test_a_wrong_key_is_refused_with_the_nearest_right_one(pair, wrong, right):
    cfg = small()
    with pytest.raises(OptionError) as error:
        apply_overrides(cfg, [pair])
    assert f"--set {pair}: there is no {wrong!r}" in str(error.value)
    assert right in str(error.value)
    assert cfg == small()


@pytest.mark.parametrize(
    ("pair", "option"),
    [
        ("work_dir=/etc", "--output_weights"),
        ("+work_dir=/etc", "--output_weights"),
        ("work_dir =/etc", "--output_weights"),
        ("load_from=a.pth", "--weights"),
        ("resume=True", "--resume"),
        ("randomness.seed=3", "--seed"),
    ],
)
def test_what_has_an_option_is_left_to_it(pair, option):
    cfg = small()
    with pytest.raises(OptionError) as error:
        apply_overrides(cfg, [pair])
    assert str(error.value) == f"--set {pair}: use {option} instead."
    assert cfg == small()


@pytest.mark.parametrize(
    "pair", ["model=[]", "model=None", "model.backbone=3", "optim_wrapper=SGD"]
)
def test_settings_are_not_replaced_by_something_else(pair):
    cfg = small()
    with pytest.raises(OptionError, match=r"holds settings; set one of them: .*\.KEY="):
        apply_overrides(cfg, [pair])
    assert cfg == small()


def test_all_that_is_wrong_is_told_at_once():
    wrong = ["model=[]", "model.backbone.depth=[1,2", "work_dir=/etc", "nonsense"]
    with pytest.raises(OptionError) as error:
        apply_overrides(small(), [wrong[0], "model.backbone.depth=18", *wrong[1:]])
    lines = str(error.value).splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"--set {w}" for w in wrong]
    assert lines[1].endswith("close the brackets, and put words in quotes.")
    assert lines[3].endswith("write KEY=VALUE.")


@given(st.text(max_size=30))
def test_any_text_is_a_value_or_an_error(text):
    try:
        apply_overrides(small(), [f"model.backbone.depth={text}", text])
    except OptionError as error:
        assert "--set" in str(error)
