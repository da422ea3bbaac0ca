"""The scripts of both kinds take the options of `cvtk.options`, with the same defaults, spelt in two ways."""

from __future__ import annotations

import ast
import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cvtk
from cvtk.declare import Option, declarations
from cvtk.model import Model, create_model
from cvtk.options import COMMANDS, command_options
from cvtk.scripts.arguments import help_of, literal, named_arguments
from cvtk.scripts.create import create_script, render

ROOT = Path(cvtk.__file__).parents[2]
KINDS = [(task, mode) for task in ("segm", "det") for mode in ("helper", "vanilla")]
GIVEN = {
    "train": "label l.txt train a.json valid b.json test c.json output_weights w.pth epoch 5"
    " batch_size 3 num_workers 1 lr 0.01 image_size 64 weights none seed 7 device cpu early_stop 3 accumulate 2",
    "evaluate": "label l.txt data a.json model_weights w.pth output out device cpu",
    "inference": "label l.txt data a.json model_weights w.pth output out score 0.5"
    " batch_size 2 top_k 3 device cpu",
}
REQUIRED = {
    "train": {"label", "train", "output_weights"},
    "evaluate": {"data", "model_weights", "output"},
    "inference": {"data", "model_weights", "output"},
}
# What the vanilla script says that it leaves out.
LEFT_OUT = {
    "train": {
        *("aim", "log", "print_config", "trust_weights", "folds", "fold", "final"),
        *("seeds", "learning_curve", "group_by", "group_table"),
        *("intensity", "page", "channels"),
    },
    "evaluate": {"trust_weights", "tile", "overlap", "tta"},
    "inference": {
        *("trust_weights", "batch_size", "resume", "tile", "overlap", "draw", "top_k"),
        *("page", "channels", "tta"),
    },
}


@pytest.fixture(scope="module")
def scripts(tmp_path_factory, load):
    """(task, mode) -> the imported script."""
    pytest.importorskip("mmdet", reason="needs MMDetection")
    folder, made = tmp_path_factory.mktemp("options"), {}
    for task, mode in KINDS:
        script = folder / f"{task}_{mode}.py"
        create_script(script, task, vanilla=mode == "vanilla")
        made[task, mode] = load(script)
    return made


def told(script, monkeypatch, command, arguments):
    """What a command is told when the script is called with these arguments."""
    seen = {}
    with monkeypatch.context() as patch:
        patch.setattr(script, command, lambda args: seen.update(vars(args)))
        patch.setattr(sys, "argv", ["segm.py", command, *arguments])
        script.main()
    assert seen.pop("command") == command
    return seen


def pairs(command, mode):
    words = GIVEN[command].split()
    given = dict(zip(words[::2], words[1::2], strict=True))
    left_out = LEFT_OUT[command] if mode == "vanilla" else ()
    return {name: given[name] for name in given if name not in left_out}


def spelt(command, sign="_", mode="helper", only=None):
    return [
        word
        for name, value in pairs(command, mode).items()
        if only is None or name in only
        for word in (f"--{name.replace('_', sign)}", value)
    ]


@pytest.mark.parametrize("command", GIVEN)
def test_underscores_and_hyphens_mean_the_same(command, scripts, monkeypatch):
    for (_, mode), script in scripts.items():
        seen = [
            told(script, monkeypatch, command, spelt(command, sign, mode))
            for sign in "_-"
        ]
        assert seen[0] == seen[1]
        given = pairs(command, mode)
        assert {name: str(seen[0][name]) for name in given} == given


@pytest.mark.parametrize("command", GIVEN)
def test_the_options_are_those_declared(command, scripts, monkeypatch):
    for (_, mode), script in scripts.items():
        few = spelt(command, only=REQUIRED[command])
        seen = told(script, monkeypatch, command, few)
        declared = command_options(command, mode)
        assert seen.keys() == {d.name for d in declared}
        assert {d.name for d in declared if d.required} == REQUIRED[command]
        for option in declared:
            if option.name == "device" and mode == "vanilla":
                continue  # it has chosen already
            if not option.required:
                default = seen[option.name]
                expected = option.default
                assert (tuple(default) if option.name == "set" else default) == expected


@pytest.mark.parametrize("command", GIVEN)
def test_vanilla_leaves_out_what_it_says(command, scripts):
    kinds = [
        {d.name for d in command_options(command, m)} for m in ("helper", "vanilla")
    ]
    assert kinds[0] - kinds[1] == LEFT_OUT[command]
    assert kinds[1] <= kinds[0]
    said = scripts["segm", "vanilla"].__doc__
    for name in LEFT_OUT[command] - {"batch_size", "resume"}:
        assert f"--{name}" in said
    assert "--batch_size auto" in said and "inference in batches" in " ".join(
        said.split()
    )


@pytest.mark.parametrize("command", GIVEN)
def test_what_is_needed_is_asked_for(command, scripts, monkeypatch, capsys):
    for script in scripts.values():
        for name in REQUIRED[command]:
            arguments = spelt(command, only=REQUIRED[command] - {name})
            with pytest.raises(SystemExit) as end:
                told(script, monkeypatch, command, arguments)
            assert end.value.code == 2
            assert f"--{name}" in capsys.readouterr().err


@pytest.mark.parametrize("command", GIVEN)
def test_the_help_shows_each_option_with_its_default(
    command, scripts, monkeypatch, capsys
):
    for (_, mode), script in scripts.items():
        monkeypatch.setattr(sys, "argv", ["segm.py", command, "--help"])
        monkeypatch.setenv("COLUMNS", "1000")
        with pytest.raises(SystemExit) as end:
            script.main()
        assert end.value.code == 0
        shown = " ".join(capsys.readouterr().out.split("options:")[1].split())
        for declared in command_options(command, mode):
            text = re.split(rf" --{declared.name}(?=[ ,])", f" {shown}")[1]
            text = text.replace(f"--{declared.name.replace('_', '-')}", "")
            text = text.partition(" --")[0]
            assert declared.option.help in text
            if declared.default is None and not declared.required:
                assert text.endswith(f"(default: {declared.option.unset})")
            elif not declared.required and declared.default not in (False, ()):
                assert text.endswith(f"(default: {declared.default})")


def test_what_is_said_twice_is_a_list(scripts, monkeypatch):
    few = spelt("train", only=REQUIRED["train"])
    twice = [*few, "--set", "a=1", "--set", "b=2"]
    for script in scripts.values():
        assert told(script, monkeypatch, "train", twice)["set"] == ["a=1", "b=2"]
        # and it is not kept for the next time
        assert told(script, monkeypatch, "train", few)["set"] == []


def test_auto_is_a_batch_size_of_the_helper_script(scripts, monkeypatch, capsys):
    auto = [*spelt("train", only=REQUIRED["train"]), "--batch_size", "auto"]
    for (_, mode), script in scripts.items():
        if mode == "helper":
            options = told(script, monkeypatch, "train", auto)
            assert options["batch_size"] == "auto"
        else:
            with pytest.raises(SystemExit):
                told(script, monkeypatch, "train", auto)
            assert "--batch_size" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "method"),
    [("train", "train"), ("evaluate", "evaluate"), ("inference", "predict_to_files")],
)
def test_the_library_takes_the_same_with_the_same_defaults(command, method):
    parameters = dict(inspect.signature(getattr(Model, method)).parameters)
    parameters |= inspect.signature(create_model).parameters
    parameters["label"] = parameters["labels"]
    parameters["model_weights"] = parameters["model"]
    for declared in command_options(command):
        parameter = parameters[declared.name]
        if not declared.required:
            assert parameter.default == declared.default, declared.name


def test_the_signature_is_that_of_the_declaration():
    # As editors and help() show it.
    names = [d.name for d in declarations(COMMANDS["train"][1])]
    assert sorted(inspect.signature(Model.train).parameters) == sorted(["self", *names])
    for name in names:
        assert re.search(rf"^ +{name}: .+\.$", Model.train.__doc__, re.M), name


@given(st.text(alphabet=st.characters()))
def test_literal_is_the_text_itself(odd):
    assert ast.literal_eval(literal(odd)) == odd


def test_named_arguments_fill_the_lines():
    assert named_arguments(["a", "b"], {"b": "B"}) == "        a=args.a, b=B"
    lines = named_arguments([f"option_{n}" for n in range(19)], {}).splitlines()
    assert len(lines) > 1 and max(map(len, lines)) <= 120
    assert all(line.endswith(",") for line in lines[:-1])


def test_a_percent_sign_of_a_help_is_shown_as_it_is():
    declared = declarations(COMMANDS["train"][1])[0]
    odd = type(declared)("a", int, False, 3, Option(help="50 % of it"))
    assert help_of(odd, "helper") == "50 %% of it (default: %(default)s)"


# One new row in the declaration is one new option everywhere.

ROW = """\
    shiny: Annotated[
        int | None,
        Option(help="how shiny", minimum=1, maximum=7, unset="not at all"),
    ] = None
    frozen_stages: Annotated[
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the project in which `TrainOptions` has one row more."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("src", "templates", "docs"):
        shutil.copytree(
            ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    file = folder / "src" / "cvtk" / "options" / "training.py"
    text = file.read_text(encoding="utf-8")
    before = "    frozen_stages: Annotated[\n"
    assert text.count(before) == 1
    file.write_text(text.replace(before, ROW), encoding="utf-8")
    return folder


def with_copy(copy, code, *arguments):
    """What a program prints that uses the copy."""
    start = f"import sys; sys.path.insert(0, {str(copy / 'src')!r})\n"
    done = subprocess.run(
        [sys.executable, "-c", start + code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_new_option_is_in_both_scripts(copy):
    code = "from cvtk.scripts.create import render\n"
    code += "print(render('a.py', 'segm', vanilla=sys.argv[1] == 'vanilla'))"
    for mode in ("helper", "vanilla"):
        source = with_copy(copy, code, mode)
        assert 'train.add_argument("--shiny", type=' in source
        assert '"how shiny (default: not at all)"' in source
        assert "--shiny" not in render("a.py", "segm", vanilla=mode == "vanilla")
        if mode == "helper":
            assert "shiny=args.shiny" in source
            (copy / "a.py").write_text(source, encoding="utf-8")
    run = "import runpy; sys.argv = ['a.py', 'train', '--help']\n"
    assert "--shiny" in with_copy(
        copy, f"{run}runpy.run_path({str(copy / 'a.py')!r}, run_name='__main__')"
    )


def test_a_new_option_is_in_the_signature(copy):
    code = "import cvtk, inspect\nprint(inspect.signature(cvtk.Model.train))\n"
    text = with_copy(copy, f"{code}print(cvtk.Model.train.__doc__)")
    assert "shiny: int | None = None" in text.replace("Optional[int]", "int | None")
    assert "shiny: how shiny; None: not at all." in text


def test_a_new_option_is_missed_by_the_check_of_the_pages(copy):
    check = [sys.executable, str(copy / "docs" / "tables.py"), "--check"]
    path = {**os.environ, "PYTHONPATH": str(copy / "src")}
    done = subprocess.run(check, env=path, capture_output=True, text=True)
    assert done.returncode == 1
    assert "--shiny (table train)" in done.stderr
    subprocess.run(check[:2], env=path, check=True, capture_output=True)
    assert subprocess.run(check, env=path).returncode == 0
    assert "`--shiny`" in (copy / "docs" / "training.md").read_text(encoding="utf-8")
