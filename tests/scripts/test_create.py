"""The scripts as text: short, readable, clean, and safe whatever a user types."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cvtk
from cvtk.errors import CvtkError, FileError, OptionError
from cvtk.options import DEFAULT_MODELS as MODELS
from cvtk.scripts.create import create_script, render, render_recipe
from cvtk.scripts.source import MODULES as RECIPE_MODULES
from cvtk.scripts.source import module_source

MOST_LINES = {"helper": 150, "vanilla": 650}
MOST_LINES_OF_A_FUNCTION = 45
SECTIONS = ["Settings", "Command line", "Data", "Configuration", "Training"]
SECTIONS += ["Evaluation", "Inference", "Main"]
KINDS = [(task, mode) for task in MODELS for mode in MOST_LINES]

ODD = [
    "it's",
    'say "tiny"',
    """both ' and " quotes""",
    "{{ 7 * 7 }}",
    "{% raw %}",
    "{# gone? #}",
    "{name}",
    r"C:\Users\new\table.py",
    "ends in a backslash\\",
    "two\nlines",
    "carriage\rreturn",
    "\u2028line separator",
    'end of docstring """ + exit(1)',
    "いちご/モデル.py",
    "été 🍓.py",
    "with spaces.py",
    "# imports\n",
    "nul\0",
    "not UTF-8: \udce9",
    "'''",
    "$(rm) `x` %s",
]


def text(kind, name="segm.py", model=""):
    task, mode = kind
    return render(name, task, model, vanilla=mode == "vanilla")


def constant(source, name):
    """The value of a constant at the top of a script."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return node.value
    raise AssertionError(f"no {name} in the script")


def stamp(source):
    (line,) = re.findall(r"^# cvtk: (.*)$", source, re.MULTILINE)
    return json.loads(line)


@pytest.fixture(params=KINDS, ids="-".join)
def kind(request):
    return request.param


def test_scripts_are_short(kind):
    assert len(text(kind).splitlines()) <= MOST_LINES[kind[1]]


def test_the_stamp_says_how_a_script_was_made(kind):
    task, mode = kind
    expected = {"version": cvtk.__version__, "task": task, "mode": mode}
    assert stamp(text(kind)) == {**expected, "model": MODELS[task]}
    assert ast.literal_eval(constant(text(kind), "MODEL")) == MODELS[task]
    if mode == "helper":
        assert ast.literal_eval(constant(text(kind), "TASK")) == task
    else:
        kinds = ["bbox", "segm"] if task == "segm" else ["bbox"]
        assert ast.literal_eval(constant(text(kind), "KINDS")) == kinds


def test_what_a_script_imports(kind):
    found = set()
    for node in ast.walk(ast.parse(text(kind))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            found.add(node.module.split(".")[0])
    foreign = found - sys.stdlib_module_names
    if kind[1] == "helper":
        assert foreign == {"cvtk"}
    else:
        allowed = {"mmdet", "mmengine", "mmcv", "torch", "pycocotools", "pandas"}
        allowed |= {"numpy", "matplotlib", "mmdet_recipe"}
        assert foreign <= allowed | {"drawn_scenes"}  # weights, and no code
        body = text(kind).split('"""', 2)[
            2
        ]  # its opening comment says where it is from
        assert "cvtk" not in re.sub("^# cvtk: .*$", "", body, flags=re.M)


def functions(source):
    """All functions and methods of a script."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]


def test_functions_can_be_read_alone(kind):
    for node in functions(text(kind)):
        assert ast.get_docstring(node) or node.name in ("__init__", "read"), node.name
        length = node.end_lineno - node.lineno + 1
        if kind[1] == "helper" and node.name == "parse_arguments":
            continue  # a list of options, in a script that has nothing else to read
        assert length <= MOST_LINES_OF_A_FUNCTION, f"{node.name}: {length} lines"


def test_vanilla_has_numbered_sections():
    found = re.findall(r"^# --- (\d)\. ([\w ]+) -+$", text(("segm", "vanilla")), re.M)
    assert found == [(str(n), name) for n, name in enumerate(SECTIONS, 1)]


def test_vanilla_explains_itself():
    source = text(("segm", "vanilla"))
    assert source.count("  # ") > 10
    assert "It leaves out" in ast.get_docstring(ast.parse(source))


def test_vanilla_hides_no_mistake_of_its_own():
    """What the script may catch is caught where it opens what a user named; nothing is caught around it all.

    `blaming_settings` names the user's `--set`, and lets everything pass where there is none.
    """
    tree = ast.parse(text(("segm", "vanilla")))
    of_files = {"read_coco", "read_text", "load_weights"}
    of_files |= {"open_model", "read_image", "blaming_settings"}
    for node in functions(text(("segm", "vanilla"))):
        caught = [n for n in ast.walk(node) if isinstance(n, ast.ExceptHandler)]
        if node.name == "main":  # a full disk, a folder that cannot be written to
            assert [ast.unparse(handler.type) for handler in caught] == ["OSError"]
        else:
            assert not caught or node.name in of_files, node.name
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.Assert)]


def test_the_recipe_beside_vanilla_is_the_librarys_own():
    source = render_recipe()
    own = {node.name: node for node in functions(source)}
    for name in RECIPE_MODULES:
        module = importlib.import_module(f"cvtk.recipe.{name}")
        assert module_source(name) in source, "comments and all"
        for node in ast.parse(inspect.getsource(module)).body:
            if isinstance(node, ast.FunctionDef):
                assert ast.dump(own[node.name]) == ast.dump(node), node.name
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found = {alias.name for alias in node.names}
            assert found <= {*sys.stdlib_module_names, "torch"}
        if isinstance(node, ast.ImportFrom):
            assert node.module.split(".")[0] in {
                *sys.stdlib_module_names,
                "pycocotools",
            }


def require_clean(file):
    """Ends the test with what ruff has to say of a script."""
    simple = ["--select", "C901,PLR0915", "--config", "lint.mccabe.max-complexity=10"]
    for check in (["check"], ["check", *simple], ["format", "--check", "--diff"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *check, "--isolated", "--no-cache", file],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("model", ["", "my models/été.py", r"C:\models\mine.py"])
def test_scripts_are_clean_to_ruff(kind, model, tmp_path):
    script = tmp_path / "segm.py"
    script.write_text(text(kind, model=model), encoding="utf-8")
    require_clean(script)


def test_the_recipe_is_clean_to_ruff(tmp_path):
    create_script(tmp_path / "segm.py", "segm", vanilla=True)
    require_clean(tmp_path / "mmdet_recipe.py")


@pytest.mark.parametrize("odd", ODD, ids=ascii)
def test_any_model_name_is_safe(kind, odd):
    source = text(kind, model=odd)
    compile(source.encode("utf-8", "surrogateescape"), "segm.py", "exec")
    assert ast.literal_eval(constant(source, "MODEL")) == odd
    assert stamp(source)["model"] == odd
    plain = text(kind).splitlines()
    changed = [n for n, line in enumerate(source.splitlines()) if line != plain[n]]
    assert len(changed) == 2, "only the stamp and MODEL may differ"


@pytest.mark.parametrize("odd", [o for o in ODD if not {"/", "\0"} & {*o}], ids=ascii)
def test_any_script_name_is_safe(kind, odd, tmp_path):
    script = create_script(tmp_path / odd, kind[0], vanilla=kind[1] == "vanilla")
    source = script.read_text(encoding="utf-8")
    compile(source, "segm.py", "exec")
    # A name that would need quoting on a command line is not shown in the commands to copy.
    assert source == text(kind, name="script.py")


@settings(max_examples=50, deadline=None)
@given(model=st.text(min_size=1), name=st.text(min_size=1))
def test_any_text_is_safe(model, name):
    source = render(name, "segm", model)
    assert ast.literal_eval(constant(source, "MODEL")) == model
    assert stamp(source)["model"] == model


def test_a_script_that_exists_is_kept_unless_forced(tmp_path):
    script = tmp_path / "segm.py"
    script.write_text("mine\n")
    with pytest.raises(FileError, match=r"segm\.py.*exists.*force=True"):
        create_script(script, "segm")
    assert script.read_text() == "mine\n"
    create_script(script, "segm", force=True)
    assert script.read_text().startswith('"""Instance segmentation')
    assert [p.name for p in tmp_path.iterdir()] == ["segm.py"], "nothing is left over"


def test_vanilla_scripts_of_a_folder_share_their_recipe(tmp_path):
    for task in ("segm", "det"):
        create_script(tmp_path / f"{task}.py", task, vanilla=True)
    recipe = tmp_path / "mmdet_recipe.py"
    assert {p.name for p in tmp_path.iterdir()} == {"segm.py", "det.py", recipe.name}
    recipe.write_text("mine\n")
    with pytest.raises(FileError, match=r"mmdet_recipe\.py exists"):
        create_script(tmp_path / "other.py", "segm", vanilla=True)
    assert recipe.read_text() == "mine\n"
    assert not (tmp_path / "other.py").exists(), "neither without the other"
    create_script(tmp_path / "other.py", "segm", vanilla=True, force=True)
    assert recipe.read_text() == render_recipe()


def test_a_vanilla_script_cannot_have_the_name_of_its_recipe(tmp_path):
    with pytest.raises(OptionError, match=r"mmdet_recipe\.py.*another name"):
        create_script(tmp_path / "mmdet_recipe.py", "segm", vanilla=True)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_does_not_exist_is_made(tmp_path):
    assert create_script(tmp_path / "a b" / "ü.py", "det").is_file()


def test_an_unknown_task_names_the_two():
    with pytest.raises(CvtkError, match=r"segm.*det"):
        render("a.py", "keypoints")
