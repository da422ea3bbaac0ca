"""The recipe and cvtk's own architecture as source text, for the scripts that do without cvtk."""

from __future__ import annotations

import ast
import importlib
import inspect

from cvtk.zoo.index import OWN

RECIPE = "mmdet_recipe"  # the module that a vanilla script imports from beside it
# What it holds, in the order in which it is read best.
MODULES = (
    *("fit", "data", "classes", "start", "sizes"),
    *("schedule", "hooks", "workers", "cores", "speed", "nodes"),
)


def module_source(name: str) -> str:
    """What a module of the recipe defines, as it is written there, comments and all.

    Its docstring and imports are left out.

    Args:
        name: Of a module of `cvtk.recipe`.
    """
    text = inspect.getsource(importlib.import_module(f"cvtk.recipe.{name}"))
    lines = text.splitlines()
    kept = set(range(len(lines)))
    for statement in ast.parse(text).body:
        if isinstance(statement, (ast.Expr, ast.Import, ast.ImportFrom)):
            last = statement.end_lineno or statement.lineno
            kept -= set(range(statement.lineno - 1, last))
    return "\n".join(lines[number] for number in sorted(kept)).strip("\n")


def package_files() -> dict[str, str]:
    """The files of cvtk's own architecture, by their names beside a script, which imports it as `pose2seg`."""
    found = {}
    for file in sorted([*OWN.rglob("*.py"), *OWN.rglob("*.yml")]):
        text = file.read_text(encoding="utf-8")
        name = file.relative_to(OWN.parent).as_posix()
        found[name] = text.replace(f"cvtk.{OWN.name}", OWN.name)
    return found
