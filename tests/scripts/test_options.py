"""The scripts of both kinds take the same options, with the same defaults, spelt in two ways."""

from __future__ import annotations

import inspect
import sys

import pytest

pytest.importorskip("mmdet", reason="needs MMDetection")

from cvtk.config import DEFAULTS

from cvtk.model import Model, create_model
from cvtk.scripts.create import create_script

KINDS = [(task, mode) for task in ("segm", "det") for mode in ("helper", "vanilla")]
COMMANDS = {
    "train": "label l.txt train a.json valid b.json test c.json output_weights w.pth epoch 5"
    " batch_size 3 num_workers 1 lr 0.01 image_size 64 weights none seed 7 device cpu early_stop 3 accumulate 2",
    "evaluate": "label l.txt data a.json model_weights w.pth output out device cpu",
    "inference": "label l.txt data a.json model_weights w.pth output out score 0.5"
    " batch_size 2 device cpu",
}
REQUIRED = {
    "train": {"label", "train", "output_weights"},
    "evaluate": {"data", "model_weights", "output"},
    "inference": {"data", "model_weights", "output"},
}


@pytest.fixture(scope="module")
def scripts(tmp_path_factory, load):
    """(task, mode) -> the imported script."""
    folder, made = tmp_path_factory.mktemp("options"), {}
    for task, mode in KINDS:
        script = folder / f"{task}_{mode}.py"
        create_script(script, task, vanilla=mode == "vanilla")
        made[task, mode] = load(script)
    return made


def told(script, monkeypatch, command, arguments):
    """What a command is told when the script is called with these arguments."""
    seen = {}

    def recorder(options):
        seen.update(options if isinstance(options, dict) else vars(options))
        if seen.pop("run", None) and command != "train":  # vanilla: what it looks up
            del seen["resume"], seen["print_config"]

    recorder.__name__ = command
    with monkeypatch.context() as patch:
        patch.setattr(script, command, recorder)
        patch.setattr(sys, "argv", ["segm.py", command, *arguments])
        script.main()
    return seen


def spelt(command, sign, only=None):
    words = COMMANDS[command].split()
    pairs = zip(words[::2], words[1::2], strict=True)
    return [
        word
        for name, value in pairs
        if only is None or name in only
        for word in (f"--{name.replace('_', sign)}", value)
    ]


@pytest.mark.parametrize("command", COMMANDS)
def test_underscores_and_hyphens_mean_the_same(command, scripts, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    seen = [
        told(script, monkeypatch, command, spelt(command, sign))
        for script in scripts.values()
        for sign in "_-"
    ]
    assert all(options == seen[0] for options in seen)
    words = COMMANDS[command].split()
    given = dict(zip(words[::2], words[1::2], strict=True))
    flags = {"force", "trust_weights", "resume", "amp", "tensorboard", "print_config"}
    rest = {k: v for k, v in seen[0].items() if k not in flags | {"set"}}
    assert {k: str(v) for k, v in rest.items()} == given


@pytest.mark.parametrize("command", COMMANDS)
def test_the_defaults_are_the_same(command, scripts, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    few = spelt(command, "_", REQUIRED[command])
    seen = {k: told(s, monkeypatch, command, few) for k, s in scripts.items()}
    for (_, mode), options in seen.items():
        left = {k: v for k, v in options.items() if k not in REQUIRED[command]}
        batch = DEFAULTS["infer_batch_size" if command == "inference" else "batch_size"]
        expected = {**DEFAULTS, "batch_size": batch, "force": False}
        if mode == "vanilla" and left["device"] in ("cpu", "cuda"):
            expected["device"] = left["device"]  # it has chosen already
        for name, value in left.items():
            assert value == expected.get(name), name


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_needed_is_asked_for(command, scripts, monkeypatch, capsys):
    for script in scripts.values():
        for name in REQUIRED[command]:
            arguments = spelt(command, "_", REQUIRED[command] - {name})
            with pytest.raises(SystemExit) as end:
                told(script, monkeypatch, command, arguments)
            assert end.value.code == 2
            assert f"--{name}" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_is_the_same(command, scripts, monkeypatch, capsys):
    helps = set()
    for script in scripts.values():
        monkeypatch.setattr(sys, "argv", ["segm.py", command, "--help"])
        with pytest.raises(SystemExit) as end:
            script.main()
        assert end.value.code == 0
        shown = " ".join(capsys.readouterr().out.split())
        # which the helper script alone can do
        helps.add(shown.replace("; auto: what fits the GPU", ""))
    (text,) = helps
    for name in COMMANDS[command].split()[::2]:
        assert f"--{name}" in text


def test_what_is_said_twice_is_a_list(scripts, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    twice = [*spelt("train", "_", REQUIRED["train"]), "--set", "a=1", "--set", "b=2"]
    for script in scripts.values():
        assert told(script, monkeypatch, "train", twice)["set"] == ["a=1", "b=2"]
        # and it is not kept for the next time
        few = spelt("train", "_", REQUIRED["train"])
        assert told(script, monkeypatch, "train", few)["set"] == []


def test_the_batch_size_is_a_number_or_auto(scripts, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    few = spelt("train", "_", REQUIRED["train"])
    for (_, mode), script in scripts.items():
        if mode == "helper":
            options = told(script, monkeypatch, "train", [*few, "--batch_size", "auto"])
            assert options["batch_size"] == "auto"
        with pytest.raises(SystemExit):
            told(script, monkeypatch, "train", [*few, "--batch_size", "some"])
        assert "--batch_size" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "method"),
    [("train", "train"), ("evaluate", "evaluate"), ("inference", "predict_to_files")],
)
def test_the_library_takes_the_same_with_the_same_defaults(
    command, method, scripts, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    few = spelt(command, "_", REQUIRED[command])
    options = told(scripts["segm", "helper"], monkeypatch, command, few)
    parameters = inspect.signature(getattr(Model, method)).parameters
    if command != "train":  # there the model is made from the weights
        made = inspect.signature(create_model).parameters
        assert made["trust_weights"].default == options.pop("trust_weights")
    for name in options.keys() - {"label", "model_weights"}:
        if name not in REQUIRED[command]:
            default = parameters[name].default
            assert (list(default) if name == "set" else default) == options[name], name
        assert name in parameters
