"""Options -> a rendered script: the template, its stamp, the overwrite policy."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

from cvtk import __version__
from cvtk.config import DEFAULTS, MODELS, SETTINGS
from cvtk.errors import CvtkError
from cvtk.files import written_whole
from cvtk.io import templates_folder

TITLES = {"segm": "Instance segmentation", "det": "Object detection"}


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
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates_folder()),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,
    )
    return environment.get_template("script.py.j2").render(
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
    )


def literal(text: str) -> str:
    """Any text as a Python literal, in double quotes where that is as simple."""
    quoted = repr(text)
    return f'"{quoted[1:-1]}"' if quoted[0] == "'" and '"' not in quoted else quoted
