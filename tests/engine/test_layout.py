"""Configurations are laid out as text quickly, and say the same as MMEngine's own layout."""

from __future__ import annotations

import ast
import os
import subprocess
import sys

import pytest

pytest.importorskip("mmengine", reason="needs MMEngine")

import mmengine.config.config
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mmengine.config import Config

from cvtk import zoo
from cvtk.engine.layout import WIDTH, lay_out, quick_layout

TEXT = """\
image_size = (256,256)
nothing = dict(); names = ['a',]
train_pipeline=[dict(type='LoadImageFromFile', backend_args=None), dict(type='RandomFlip', prob=0.5)]
model = dict(type='A', **base, parts={'head': dict(type='B', size=-1, scale=2*3), 0: (1,)})
"""
LAID_OUT = """\
image_size = (256, 256)
nothing = dict()
names = ['a']
train_pipeline = [
    dict(type='LoadImageFromFile', backend_args=None),
    dict(type='RandomFlip', prob=0.5),
]
model = dict(
    type='A',
    **base,
    parts={'head': dict(type='B', size=-1, scale=2 * 3), 0: (1,)},
)
"""


def test_what_is_too_long_has_an_item_per_line():
    assert lay_out(TEXT) == LAID_OUT


def test_what_has_no_brackets_stays_as_it_is():
    loop = "for name in names:\n    print(name)\n"
    assert lay_out("a=1\n" + loop) == "a = 1\n" + loop


@pytest.mark.parametrize(
    "model", ["rtmdet-ins_tiny_8xb32-300e_coco", "mask-rcnn_r50_fpn_1x_coco"]
)
def test_a_configuration_says_what_it_says_in_mmengines_layout(model):
    cfg = Config.fromfile(zoo.find(model, "segm").config)
    theirs = cfg.pretty_text
    with quick_layout():
        ours = cfg.pretty_text
    assert ast.dump(ast.parse(ours)) == ast.dump(ast.parse(theirs))
    for line in ours.splitlines():
        assert len(line) <= WIDTH or not set("([{") & set(line.rstrip("([{")), line


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner)
    ),
)


@settings(deadline=None)
@given(values)
def test_any_value_is_the_same_afterwards(value):
    laid_out = lay_out(f"value = {value!r}")
    (assignment,) = ast.parse(laid_out).body
    assert ast.literal_eval(assignment.value) == value


def test_afterwards_mmengine_lays_out_again():
    theirs = Config.pretty_text
    with quick_layout():
        assert Config.pretty_text is not theirs
    assert Config.pretty_text is theirs


def test_classes_are_named_by_strings(tmp_path):
    cfg = Config({"model": {"type": ast.NodeVisitor, "of": [int, Config]}})
    with quick_layout():
        cfg.dump(tmp_path / "a.py")
    read = Config.fromfile(tmp_path / "a.py")
    assert read.model.type == "ast.NodeVisitor"
    assert read.model.of == [int, "mmengine.config.config.Config"]


@example({"a": {"\u00b5": 1}})  # the micro sign, which Python reads as a Greek letter
@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["a", "b c", "class", 1, "lambda_"]), values))
def test_any_configuration_is_read_as_it_was(content):
    cfg = Config({"of": content, "listed": [content]})
    with quick_layout():
        text = cfg.pretty_text
    assert Config.fromstring(text, ".py").to_dict() == cfg.to_dict()


@pytest.mark.skipif(
    "yapf" in vars(mmengine.config.config), reason="the original MMEngine imports yapf"
)
def test_an_empty_cache_of_yapf_does_no_harm(tmp_path):
    """As another process leaves it for a moment while it writes it, and a full disk for good."""
    folders = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    surroundings = {**os.environ, **folders}
    python = [sys.executable, "-c"]
    subprocess.run(
        [*python, "import yapf.yapflib.yapf_api"], env=surroundings, check=True
    )
    for file in tmp_path.rglob("*.pickle"):
        file.write_bytes(b"")

    program = (
        "from mmengine.config import Config\n{}print(Config(dict(a=[1])).pretty_text)"
    )
    quickly = "from cvtk.engine.layout import quick_layout\nwith quick_layout(): "
    ours = subprocess.run(
        [*python, program.format(quickly)],
        env=surroundings,
        capture_output=True,
        text=True,
    )
    theirs = subprocess.run(
        [*python, program.format("")], env=surroundings, capture_output=True, text=True
    )

    assert ours.stdout.strip() == "a = [1]", ours.stderr
    assert "EOFError" in theirs.stderr
