"""Options -> a rendered script: the template, its stamp, and the shared source in it."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import sys
from pathlib import Path

from cvtk import __version__
from cvtk.config import DEFAULTS, MODELS, SETTINGS
from cvtk.errors import CvtkError
from cvtk.files import written_whole

TITLES = {"segm": "Instance segmentation", "det": "Object detection"}
# What a vanilla script carries of this package, in reading order: module -> names.
EMBEDDED = (
    ("data/prepare.py", "prepare_annotations"),
    (
        "config.py",
        *(
            "walk",
            "change",
            "set_model",
            "set_image_size",
            "set_data",
            "set_schedule",
            "set_keys",
        ),
    ),
    ("engine/batch.py", "fit_batch"),
    ("engine/build.py", "build_config"),
    ("engine/processes.py", "join_processes"),
    ("engine/progress.py", "show_progress"),
    ("plots.py", "write_stats"),
    ("engine/train.py", "run_training"),
    ("metrics.py", "coco_stats"),
    ("engine/predict.py", "to_coco", "list_images"),
)
# What the template's own part of a script may need.
IMPORTS = """\
import argparse
import contextlib
import cvtk
import io
import json
import sys
import mmcv
import mmengine
import torch
import warnings
from pathlib import Path
from mmcv.transforms import Compose
from mmengine.dataset import pseudo_collate
from mmdet.registry import MODELS
from mmdet.registry import VISUALIZERS
from mmengine import dist
from mmengine.config import Config
from mmengine.registry import init_default_scope
"""


def create_script(
    script: str | Path,
    task: str,
    model: str = "",
    *,
    vanilla: bool = False,
    force: bool = False,
) -> Path:
    """Writes a training script.

    Args:
        script: The file to write.
        task: "segm" or "det".
        model: A name of MMDetection or a configuration file; the tutorial's model if empty.
        vanilla: Whether the script does without cvtk.
        force: Whether to replace a file that lies there.

    Raises:
        FileError: The file exists or cannot be written.
        ModelError: The installed MMDetection has no such model, or it is for another task.
        CvtkError: There is no such task.
    """
    path = Path(script)
    if task in MODELS and importlib.util.find_spec("mmdet"):
        from cvtk import zoo

        found = zoo.find(model or MODELS[task], task)
        model = found.name if found.listed else str(model)
    text = render(path.name, task, model, vanilla=vanilla)
    with written_whole(path, force=force) as part:
        part.write_text(text, encoding="utf-8", errors="surrogateescape")
    return path


def render(name: str, task: str, model: str = "", *, vanilla: bool = False) -> str:
    """The text of a script; see `create_script`."""
    import jinja2

    if task not in MODELS:
        raise CvtkError(
            f"There is no task {task!r}.", "Use segm (masks and boxes) or det (boxes)."
        )
    model = model or MODELS[task]
    mode = "vanilla" if vanilla else "helper"
    functions, imports = _embedded() if vanilla else ([], set())
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_templates()),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,
    )
    body = environment.get_template("script.py.j2").render(
        title=TITLES[task],
        name=name if re.fullmatch(r"[\w.-]+", name, re.ASCII) else "script.py",
        stamp=json.dumps(
            {"version": __version__, "task": task, "mode": mode, "model": model}
        ),
        model=literal(model),
        task=task,
        vanilla=vanilla,
        defaults=DEFAULTS,
        settings=SETTINGS,
        functions=functions,
    )
    return body.replace(
        "# imports\n", _imports(imports | {*IMPORTS.splitlines()}, body)
    )


def literal(text: str) -> str:
    """Any text as a Python literal, in double quotes where that is as simple."""
    quoted = repr(text)
    return f'"{quoted[1:-1]}"' if quoted[0] == "'" and '"' not in quoted else quoted


def _templates() -> Path:
    """The folder of the templates: in the wheel, or beside `src` in a checkout."""
    here = Path(__file__).parent
    return next(
        p for p in (here / "templates", here.parents[1] / "templates") if p.is_dir()
    )


def _embedded() -> tuple[list[str], set[str]]:
    """The source of the shared functions, and the imports that they may need."""
    functions: list[str] = []
    imports: set[str] = set()
    for file, *names in EMBEDDED:
        source = (Path(__file__).parent / file).read_text(encoding="utf-8")
        tree = ast.parse(source)
        for node in ast.walk(tree):
            if isinstance(
                node, (ast.Import, ast.ImportFrom)
            ) and "cvtk" not in ast.unparse(node):
                head, _, bound = ast.unparse(node).rpartition("import ")
                if "cvtk" in head or "__future__" in head:
                    continue
                imports.update(f"{head}import {name}" for name in bound.split(", "))
        nodes = {
            n.name: n
            for n in tree.body
            if isinstance(n, (ast.FunctionDef, ast.ClassDef))
        }
        functions += [_plain(nodes[name], source.splitlines()) for name in names]
    return functions, imports


def _plain(node: ast.FunctionDef | ast.ClassDef, lines: list[str]) -> str:
    """A definition as a script has it: its imports at the top, and without types."""
    new: dict[
        int, str | None
    ] = {}  # line number -> its text in the script, None to drop it
    for item in ast.walk(node):
        if isinstance(item, (ast.Import, ast.ImportFrom)):
            after = (item.end_lineno or item.lineno) + 1
            end = after if not lines[after - 1].strip() else after - 1
            new.update(dict.fromkeys(range(item.lineno, end + 1)))
        elif isinstance(item, ast.FunctionDef):
            for argument in ast.walk(item.args):
                if isinstance(argument, ast.arg):
                    argument.annotation = None
            new.update(dict.fromkeys(range(item.lineno, item.body[0].lineno)))
            head = f"def {item.name}({ast.unparse(item.args)}):"
            new[item.lineno] = f"{' ' * item.col_offset}{head}"
        elif isinstance(item, ast.AnnAssign):
            text = lines[item.lineno - 1]
            target = ast.unparse(item.target)
            new[item.lineno] = (
                text[: item.col_offset] + target + text[text.index(" = ") :]
            )
    kept = (
        new.get(n, lines[n - 1]) for n in range(node.lineno, (node.end_lineno or 0) + 1)
    )
    text = "\n".join(line for line in kept if line is not None)
    text = re.sub(r"  # (type: ignore|noqa).*$", "", text, flags=re.MULTILINE)
    # In a script a mistake ends the program with its message.
    return re.sub(r"raise (Data|File|Model)Error\(", "raise SystemExit(", text)


def _imports(lines: set[str], body: str) -> str:
    """The imports that a text uses, in the order of isort."""
    used = {n.id for n in ast.walk(ast.parse(body)) if isinstance(n, ast.Name)}
    joined: dict[str, list[str]] = {}
    for line in lines:
        head, _, names_text = line.rpartition("import ")
        for name in names_text.split(", "):
            if name.split()[-1].split(".")[0] in used:
                joined.setdefault(head or line, []).extend([name] if head else [])
    groups: dict[bool, list[tuple[bool, str]]] = {True: [], False: []}
    for head, names in joined.items():
        standard = head.split()[1].split(".")[0] in sys.stdlib_module_names
        text = f"{head}import {', '.join(sorted(names))}" if names else head
        groups[standard].append((bool(names), text))
    blocks = ("\n".join(text for _, text in sorted(g)) for g in groups.values() if g)
    return "\n\n".join(blocks) + "\n"
