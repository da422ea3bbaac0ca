"""Writes the folder of an executor: what Docker builds an image of, for the platform."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

from cvtk import __version__
from cvtk.declare import Declared
from cvtk.errors import CvtkError, ModelError
from cvtk.io import atomic_folder, templates_folder
from cvtk.options import DEFAULT_MODELS
from cvtk.scripts.stamp import Stamp
from cvtk.ymir.settings import FORM, form

# By task, the platform's number for it, and how it writes the annotations to learn from.
KINDS = {"segm": (4, "seg-coco:raw"), "det": (2, "ark:raw")}


def create_executor(
    folder: str | Path, task: str = "segm", model: str = "", *, force: bool = False
) -> Path:
    """Writes the folder of an executor.

    Args:
        folder: The folder.
        task: "segm" or "det".
        model: A name of MMDetection, the default of the form; the tutorial's model if empty.
        force: Whether files that lie there may be replaced.

    Returns:
        The folder.

    Raises:
        FileError: The folder is not empty, or cannot be written.
        ModelError: The installed MMDetection has no such model, or it is for another task.
        CvtkError: There is no executor for such a task.
    """
    if task not in KINDS:
        raise CvtkError(
            f"There is no executor for {task}.", f"Use one of {', '.join(KINDS)}."
        )
    if model.endswith(".py"):
        raise ModelError(
            f"{model} is a file, which the image does not hold.",
            f"Name a model of the catalogue: cvtk models --task {task}",
        )
    model = model or DEFAULT_MODELS[task]
    if importlib.util.find_spec("mmdet"):
        from cvtk import zoo

        model = zoo.find(model, task).name
    folder = Path(folder)
    with atomic_folder(folder, force=force) as part:
        _render(part, task, model)
    return folder


def _render(folder: Path, task: str, model: str) -> None:
    """Fills all templates in."""
    import jinja2

    templates = templates_folder() / "ymir"
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,
    )
    object_type, export_format = KINDS[task]
    values = {
        "task": task,
        "object_type": object_type,
        "export_format": export_format,
        "version": __version__,
        "stamp": Stamp(__version__, task, "ymir", model).line(),
        "model": json.dumps(model),
        "lines": {job: [_line(declared) for declared in form(job)] for job in FORM},
    }
    for template in sorted(templates.rglob("*.j2")):
        name = template.relative_to(templates).as_posix()
        file = folder / name.removesuffix(".j2")
        file.parent.mkdir(parents=True, exist_ok=True)
        text = environment.get_template(name).render(values)
        file.write_text(text, encoding="utf-8")
    (folder / "start.sh").chmod(0o755)


def _line(declared: Declared) -> str:
    """One setting of a form, as YAML with its meaning; empty text stands for what is not set."""
    option = declared.option
    value = "" if declared.default is None else declared.default
    unset = f" (empty: {option.unset})" if declared.default is None else ""
    return f"{declared.name}: {json.dumps(value)}  # {option.help}{unset}"
