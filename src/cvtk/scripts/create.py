"""Writes a training script, and what it imports beside it: templates, filled in, where no other file stands."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cvtk import __version__
from cvtk.declare import Declared
from cvtk.errors import CvtkError, OptionError
from cvtk.io import atomic_write, require_free, templates_folder
from cvtk.options import DEFAULT_MODELS, command_options
from cvtk.scripts.architecture import fitting_settings
from cvtk.scripts.arguments import argument_blocks, literal, named_arguments
from cvtk.scripts.source import MODULES, RECIPE, module_source, package_files
from cvtk.scripts.stamp import Stamp
from cvtk.zoo.index import OWN

if TYPE_CHECKING:
    import jinja2

TITLES = {"segm": "Instance segmentation", "det": "Object detection"}


def create_script(
    script: str | Path,
    task: str,
    model: str = "",
    *,
    vanilla: bool = False,
    force: bool = False,
) -> Path:
    """Writes a training script, and beside one without cvtk the recipe that it imports, and cvtk's own architecture.

    Args:
        script: The file to write.
        task: "segm" or "det".
        model: A name of MMDetection or a configuration file; the tutorial's model if empty.
        vanilla: Whether the script does without cvtk.
        force: Whether to replace a file that lies there.

    Returns:
        The script.

    Raises:
        FileError: The file exists or cannot be written.
        ModelError: The installed MMDetection has no such model, or it is for another task.
        CvtkError: There is no such task.
    """
    path = Path(script)
    config = None
    if task in DEFAULT_MODELS and importlib.util.find_spec("mmdet"):
        from cvtk import zoo

        found = zoo.find(model or DEFAULT_MODELS[task], task)
        model = found.name if found.listed else str(model)
        config = found.config
    text = render(path.name, task, model, vanilla=vanilla, config=config)
    require_free(path, force=force)
    if vanilla:
        beside = {recipe_beside(path): render_recipe()}
        if _is_own(config):
            files = package_files()
            beside |= {path.parent / name: text for name, text in files.items()}
        for file, content in beside.items():
            _write_beside(file, content, force=force)
    with atomic_write(path, force=force) as part:
        part.write_text(text, encoding="utf-8", errors="surrogateescape")
    return path


def imported_beside(script: Path) -> list[Path]:
    """What a script that was written imports from beside it."""
    text = script.read_text(encoding="utf-8", errors="surrogateescape")
    found = [recipe_beside(script), script.with_name(OWN.name)]
    return [path for path in found if f"\nimport {path.stem}" in text]


def recipe_beside(script: Path) -> Path:
    """The module that a script without cvtk imports.

    Raises:
        OptionError: The script itself has that name.
    """
    recipe = script.with_name(f"{RECIPE}.py")
    if recipe == script:
        raise OptionError(
            f"--script {script}: this is the name of the module that the script imports.",
            "Use another name.",
        )
    return recipe


def _is_own(config: Path | None) -> bool:
    """Whether an architecture is cvtk's own, and no part of MMDetection."""
    return config is not None and config.is_relative_to(OWN)


def _write_beside(file: Path, text: str, *, force: bool) -> None:
    """Writes what a script imports; what is already there as it should be serves several scripts."""
    if file.is_file() and file.read_bytes() == text.encode():
        return
    with atomic_write(file, force=force) as part:
        part.write_text(text, encoding="utf-8")


def render(
    name: str,
    task: str,
    model: str = "",
    *,
    vanilla: bool = False,
    config: Path | None = None,
) -> str:
    """The text of a script; see `create_script`.

    Args:
        name: Of the script.
        task: "segm" or "det".
        model: The architecture; the tutorial's if empty.
        vanilla: Whether the script does without cvtk.
        config: The architecture's file, which tells the settings that it has.
    """
    if task not in DEFAULT_MODELS:
        raise CvtkError(
            f"There is no task {task!r}.", "Use segm (masks and boxes) or det (boxes)."
        )
    model = model or DEFAULT_MODELS[task]
    mode = "vanilla" if vanilla else "helper"
    specific = {} if vanilla else _helper_parts(config)
    return (
        _environment()
        .get_template(f"{mode}.py.j2")
        .render(
            title=TITLES[task],
            name=name if re.fullmatch(r"[\w.-]+", name, re.ASCII) else "script.py",
            stamp=Stamp(__version__, task, mode, model).line(),
            model=literal(model),
            task=task,
            argument_blocks=argument_blocks(mode),
            poses=_is_own(config),
            **specific,
        )
    )


def render_recipe() -> str:
    """The text of the module that scripts without cvtk import: the recipe, as it is written here."""
    template = _environment().get_template("recipe.py.j2")
    return template.render(version=__version__, modules=MODULES, recipe=module_source)


def _environment() -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates_folder()),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,
    )


def _helper_parts(config: Path | None) -> dict[str, Any]:
    """What only the helper script shows: its settings, and the calls of cvtk."""
    found = fitting_settings(config)
    values = {declared.name: declared.name.upper() for declared in found}
    names = [d.name for d in command_options("train") if d.name != "label"]
    return {
        "settings": [_setting_line(declared) for declared in found],
        "has_none": any(declared.default is None for declared in found),
        "train_arguments": named_arguments([*names, *values], values),
        "evaluate_arguments": named_arguments(_own_names("evaluate"), {}),
        "inference_arguments": named_arguments(_own_names("inference"), {}),
    }


def _own_names(command: str) -> list[str]:
    """The options of a command that its method takes, not the model that it is called on."""
    of_model = {"label", "model_weights", "trust_weights"}
    names = [declared.name for declared in command_options(command)]
    return [name for name in names if name not in of_model]


def _setting_line(declared: Declared) -> str:
    value = declared.default
    shown = literal(value) if isinstance(value, str) else value
    return f"{declared.name.upper()} = {shown}  # {declared.option.help}"
