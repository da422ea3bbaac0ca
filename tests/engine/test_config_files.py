"""A configuration beside weights is read as values: what would run code is refused with its line."""

from __future__ import annotations

import copy
import os
import subprocess
import sys

import pytest

pytest.importorskip("mmdet", reason="needs MMDetection")

from configurations import fitted, original
from mmengine.config import Config

from cvtk.engine.config_files import (
    NEEDED,
    read_architecture,
    read_config,
    require_plain,
)
from cvtk.errors import FileError, ModelError

DUMPED = [
    "mask-rcnn_r50_fpn_1x_coco",
    "rtmdet-ins_tiny_8xb32-300e_coco",
    "cascade-mask-rcnn_r50_fpn_1x_coco",
    "mask2former_r50_8xb2-lsj-50e_coco",
    "yolox_tiny_8xb8-300e_coco",
    "solov2_r50_fpn_1x_coco",
    "mask-rcnn_convnext-t-p4-w7_fpn_amp-ms-crop-3x_coco",  # with a part of MMPretrain
]


@pytest.mark.parametrize("name", DUMPED)
def test_what_mmengine_writes_is_read_as_mmengine_reads_it(name, tmp_path):
    cfg = Config(original(name))
    cfg.work_dir = "out/Früchte 'and' \"more\"\n"
    cfg.dump(tmp_path / "a.py")
    expected = Config.fromfile(tmp_path / "a.py", import_custom_modules=False)
    assert require_plain(tmp_path / "a.py") == expected.to_dict()


@pytest.mark.parametrize("name", DUMPED[:-1])
def test_what_a_training_leaves_is_read(name, tmp_path):
    cfg = Config(fitted(name, task="det" if "yolox" in name else "segm"))
    cfg.dump(tmp_path / "a.py")
    assert read_config(tmp_path / "a.py").to_dict() == cfg.to_dict()


def test_numbers_sets_and_odd_keys_are_read(tmp_path):
    file = tmp_path / "a.py"
    file.write_text(
        "a = dict(inf=inf, low=-1.5)\nb = {'x.y': {1, 2}, None: ()}\nc = [True, list((1,))]\n"
    )
    assert require_plain(file) == {
        "a": {"inf": float("inf"), "low": -1.5},
        "b": {"x.y": {1, 2}, None: ()},
        "c": [True, [1]],
    }


def test_a_configuration_has_values_as_attributes(tmp_path):
    (tmp_path / "a.py").write_text("model = dict(type='A', parts=[dict(type='B')])\n")
    cfg = read_config(tmp_path / "a.py")
    assert cfg.model.parts[0].type == "B"


HOSTILE = {
    "import os": "it imports something",
    "from os import mkdir": "it imports something",
    "__import__('os').mkdir('{}')": "more than name values",
    "a = __import__('os').mkdir('{}')": "it calls __import__",
    "a = open('{}', 'w')": "it calls open",
    "a = dict(b=[eval('1')])": "it calls eval",
    "a = (lambda: 1)()": "it calls",
    "a = ().__class__": "more than name values",
    "a = [].append": "more than name values",
    "a = dict.fromkeys((1,))": r"it calls dict\.fromkeys",
    "a = dict(type=dict)": "more than name values",
    "a = f'{{1}}'": "more than name values",
    "a = [x for x in (1, 2)]": "more than name values",
    "a = 'a' * 10 ** 10": "more than name values",
    "a = -'a'": "more than name values",
    "a = {{**dict()}}": "more than name values",
    "a = dict(**dict())": "more than name values",
    "a = [*[1]]": "more than name values",
    "a = [1][0]": "more than name values",
    "a = (b := 1)": "more than name values",
    "a = b = 1": "more than name values",
    "a, b = 1, 2": "more than name values",
    "a += 1": "more than name values",
    "a: int = 1": "more than name values",
    "a.b = 1": "more than name values",
    "del a": "more than name values",
    "if 1: a = 1": "more than name values",
    "def f(): pass": "more than name values",
    "class A: pass": "more than name values",
    "'a text'": "more than name values",
    "__builtins__ = 1": "more than name values",
    "_base_ = 'other.py'": "it reads another configuration",
    "_base_ = ['other.py']": "it reads another configuration",
    "custom_imports = dict(imports=['evil'])": "it imports evil",
    "custom_imports = dict(imports=['mmdet.models', 'evil'])": "it imports evil",
    "custom_imports = dict(imports=('evil',))": "it imports evil",
    "custom_imports = dict(imports='evil')": "it imports evil",
    "custom_imports = dict(imports=[['evil']])": "it imports",
    "custom_imports = dict(imports=['cvtk.cli'])": r"it imports cvtk\.cli",
    "custom_imports = dict(imports=['pose2seg.evil'])": r"it imports pose2seg\.evil",
    "model = dict(type='os.mkdir', path='{}')": r"it would call os\.mkdir",
    "model = dict(a=[dict(type='mmengine.dump')])": r"it would call mmengine\.dump",
    "model = dict(type='mmdet.apis.Inferencer')": "it would call",
    "optim_wrapper = dict(constructor='os.mkdir')": "it would call",
    "model = dict(_scope_='evil')": "it would import evil",
    "default_scope = 'evil'": "it would import evil",
    "model = dict(teacher_config='evil.py')": "it reads another file, evil",
    "model = dict(checkpoint_path='evil.pth')": "it reads another file, evil",
}


@pytest.mark.parametrize("line", HOSTILE)
def test_what_would_run_is_refused_with_its_line(line, tmp_path):
    file, target = tmp_path / "a.py", tmp_path / "hacked"
    (tmp_path / "other.py").write_text(f"import os\nos.mkdir({str(target)!r})\n")
    file.write_text(f"# a comment\nwork_dir = 'a'\n{line.format(target)}\n")
    with pytest.raises(ModelError, match=HOSTILE[line]) as error:
        read_config(file)
    text = str(error.value)
    assert f"{file}, line 3: " in text and "trust_weights=True" in text
    assert "\n" not in text and not target.exists()


@pytest.mark.parametrize(
    "kind", ["mmengine.Config", "mmdet.NoSuch", "mmpretrain.FeatureExtractor"]
)
def test_what_no_package_registers_is_refused(kind, tmp_path):
    # MMPretrain's FeatureExtractor would read its `model` as a configuration, and run it.
    (tmp_path / "a.py").write_text(f"model = dict(type='{kind}', model='evil.py')\n")
    with pytest.raises(ModelError, match=f"would call {kind}.*trust_weights=True"):
        read_config(tmp_path / "a.py")


def test_registered_parts_and_layers_are_taken(tmp_path):
    kinds = ("mmdet.CSPNeXt", "mmdet.SiLU", "mmdet.QuadraticWarmupLR", "torch.nn.ReLU")
    parts = "".join(f"dict(type='{kind}'), " for kind in kinds)
    (tmp_path / "a.py").write_text(f"parts = [{parts}]\n")
    assert [part.type for part in read_config(tmp_path / "a.py").parts] == list(kinds)


@pytest.mark.parametrize("trick", ["environment", "predefined"])
def test_what_mmengine_would_put_in_the_text_first_is_left_as_it_is(trick, tmp_path):
    # MMEngine replaces these before it parses: what was a comment and texts becomes code.
    file, target = tmp_path / "a.py", tmp_path / "hacked"
    code = f"import os; os.mkdir({str(target)!r})"
    if trick == "environment":
        file.write_text(f"# {{{{$NO_SUCH:\nx='''}}}}\n{code}\n#'''\n")
    else:
        file = tmp_path / "'''b'''.py"
        file.write_text(f"x='''{{{{fileBasenameNoExtension}}}}\n{code}\n#'''\n")
    assert code in require_plain(file)["x"], "it is text by the rules of Python"
    assert code in read_config(file).x
    assert not target.exists()
    if trick == "environment":
        Config.fromfile(file)
        assert target.exists(), "or this test shows nothing"


def test_who_is_trusted_may_run_code(tmp_path):
    file, target = tmp_path / "a.py", tmp_path / "made"
    file.write_text(f"import os\nos.mkdir({str(target)!r})\nx = 1\n")
    assert read_config(file, trust=True).x == 1
    assert target.exists()


DAMAGED = {
    "syntax": b"model = dict(",
    "nul": b"model = 1\0",
    "deep": b"a = " + b"[" * 150 + b"]" * 150,
    "deeper": b"a = " + b"[" * 100000,
    "minus": b"a = " + b"-" * 100000 + b"1",
    "calls": b"a = " + b"dict(a=" * 5000 + b"1" + b")" * 5000,
    "key": b"a = {[]: 1}",
    "builder": b"a = list(1, 2)",
    "number": b"a = " + b"9" * 5000,
    "reserved": b"filename = 'a'",
    "imports": b"custom_imports = 5",
    "no imports": b"custom_imports = dict(a=1)",
    "kind": b"model = dict(type='A', _scope_=[])",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_ends_in_a_line(name, tmp_path):
    file = tmp_path / "a.py"
    file.write_bytes(DAMAGED[name])
    try:
        read_config(file)
    except ModelError as error:
        assert str(file) in str(error) and "\n" not in str(error)
    else:
        assert name == "deep", "which is honest"


def test_an_architecture_that_lacks_what_a_training_needs_is_told(tmp_path):
    whole = original("rtmdet_tiny_8xb32-300e_coco")
    file = tmp_path / "my_8xb32.py"
    for key in NEEDED:
        cfg = copy.deepcopy(whole)
        *outer, last = key.split(".")
        part = cfg[outer[0]] if outer else cfg
        part.pop(last)
        Config(cfg).dump(file)
        with pytest.raises(ModelError, match=rf"my_8xb32\.py has no {key}.*_base_"):
            read_architecture(file)
    Config(whole).dump(file)
    assert read_architecture(file)["model"]["type"] == "RTMDet"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model = dict(\n", "line 1"),
        ("_base_ = 'none.py'", "none.py"),
        ("1 / 0", "division by zero"),
        ("model = 5", "model.type"),
    ],
)
def test_an_architecture_that_cannot_be_read_is_told(text, said, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(text)
    with pytest.raises(ModelError, match=said) as error:
        read_architecture(file)
    assert str(file) in str(error.value) and "\n" not in str(error.value)


def test_a_file_that_is_not_text_is_told(tmp_path):
    (tmp_path / "a.py").write_bytes(b"a = '\xff'")
    with pytest.raises(FileError, match="UTF-8"):
        read_config(tmp_path / "a.py")


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.py")
    with pytest.raises(FileError, match="pipe"):
        read_config(tmp_path / "a.py")


def test_names_beyond_ascii_are_read_in_any_locale(tmp_path):
    folder = tmp_path / "Früchte é"
    folder.mkdir()
    (folder / "a.pth").write_bytes(b"")
    text = "model = dict(type='A')\ntest_evaluator = dict(metric=['bbox'])\n"
    text += "test_dataloader = dict(dataset=dict(pipeline=[], metainfo=dict(classes=('é',))))\n"
    (folder / "a.py").write_text(text, "utf-8")
    code = "import sys, pathlib\nfrom cvtk.engine.spec import open_weights\n"
    code += "from cvtk.errors import CvtkError\n"
    code += (
        "spec = open_weights(pathlib.Path(sys.argv[1]))\nprint(ascii(spec.classes))\n"
    )
    code += "try: open_weights(spec.weights.with_name('\\u65e5.pth'))\n"
    code += "except CvtkError as error: sys.exit(f'Error: {error}')"
    environment = {
        **os.environ,
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
    }
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder / "a.pth")],
        env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.stdout.strip() == r"['\xe9']", done.stderr
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("Error: There are no weights at")
