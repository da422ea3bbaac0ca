"""Configurations are laid out as text quickly, and say the same as MMEngine's own layout."""

from __future__ import annotations

import ast

import pytest

pytest.importorskip("mmengine", reason="needs MMEngine")

from hypothesis import given
from hypothesis import strategies as st
from mmengine.config import Config
from yapf.yapflib import yapf_api

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


@given(values)
def test_any_value_is_the_same_afterwards(value):
    laid_out = lay_out(f"value = {value!r}")
    (assignment,) = ast.parse(laid_out).body
    assert ast.literal_eval(assignment.value) == value


def test_afterwards_yapf_is_there_again():
    format_code = yapf_api.FormatCode
    with quick_layout():
        assert yapf_api.FormatCode is not format_code
    assert yapf_api.FormatCode is format_code
