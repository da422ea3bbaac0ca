"""The configuration beside weights is Python: what does more than name values is refused, and nothing runs."""

from __future__ import annotations

import pytest

pytest.importorskip("mmdet", reason="needs MMDetection")

from mmengine.config import Config

from cvtk.engine.config_files import read_config, require_plain
from cvtk.errors import FileError, ModelError

FAMILIES = {
    "mask-rcnn_r50_fpn_1x_coco": "segm",
    "rtmdet-ins_tiny_8xb32-300e_coco": "segm",
    "mask2former_r50_8xb2-lsj-50e_coco": "segm",
    "faster-rcnn_r50_fpn_1x_coco": "det",
}


@pytest.mark.parametrize(("name", "task"), FAMILIES.items())
def test_what_a_training_writes_is_read(name, task, built, tmp_path):
    cfg = built(name, task)
    cfg.dump(tmp_path / "a.py")
    assert read_config(tmp_path / "a.py").to_dict() == cfg.to_dict()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import os\n", "more than name values"),
        ("from os import mkdir\n", "more than name values"),
        ("a = 1\nb = open('x', 'w')\n", "line 2: it calls open"),
        ("a = __import__('os').mkdir('hacked')\n", "it calls"),
        ("a = dict(b=[eval('1')])\n", "it calls eval"),
        ("a = (lambda: 1)()\n", "it calls"),
        ("_base_ = 'other.py'\n", "line 1: it reads another configuration"),
        ("_base_ = ['a.py', 'b.py']\n", "another configuration"),
        ("custom_imports = dict(imports=['mine.evil'])\n", "it imports mine"),
        ("custom_imports = dict(imports=['mmdet.x', 'os'])\n", "it imports os"),
        ("custom_imports = dict(imports='evil')\n", "it imports evil"),
        ("custom_imports = {'imports': ('evil', )}\n", "it imports evil"),
        ("a = [x for x in (1, 2)]\n", "more than name values"),
        ("a = b.c\n", "more than name values"),
        ("a = b[0]\n", "more than name values"),
        ("a = f'{1}'\n", "more than name values"),
        ("def a():\n    pass\n", "more than name values"),
        ("class A: pass\n", "more than name values"),
        ("if True:\n    a = 1\n", "more than name values"),
        ("del a\n", "more than name values"),
        ("a = 1 if b else 2\n", "more than name values"),
    ],
)
def test_what_does_more_is_refused(text, said, tmp_path):
    file = tmp_path / "a.py"
    file.write_text(text)
    with pytest.raises(ModelError) as error:
        read_config(file)
    assert f"{file}, line " in str(error.value)
    assert said in str(error.value) and "--trust_weights" in str(error.value)


@pytest.mark.parametrize(
    "text", ["a = -1\nb = (1, [2.5, None], {'x': True})\nc = dict(d=a)\n", ""]
)
def test_names_and_values_are_taken(text, tmp_path):
    (tmp_path / "a.py").write_text(text)
    require_plain(tmp_path / "a.py")


def test_architectures_of_openmmlab_may_be_registered(tmp_path):
    text = (
        "custom_imports = dict(allow_failed_imports=False, imports=['mmdet.models'])\n"
    )
    (tmp_path / "a.py").write_text(text)
    assert isinstance(read_config(tmp_path / "a.py"), Config)


def test_who_is_trusted_may_run_code(tmp_path):
    file, target = tmp_path / "a.py", tmp_path / "made"
    file.write_text(f"import os\nos.mkdir({str(target)!r})\n")
    with pytest.raises(ModelError, match="--trust_weights"):
        read_config(file)
    assert not target.exists()
    read_config(file, trust=True)
    assert target.exists(), "or this test shows nothing"


@pytest.mark.parametrize(
    "content", [b"a = (", b"\xff\xfe\x00", b"a = 1\x00", b"(" * 100000, b"a = b\n"]
)
def test_what_is_no_configuration_is_told(content, tmp_path):
    (tmp_path / "a.py").write_bytes(content)
    with pytest.raises((ModelError, FileError), match=r"a\.py") as error:
        read_config(tmp_path / "a.py")
    assert "\n" not in str(error.value)
