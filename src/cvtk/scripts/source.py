"""The recipe as source text, for the script that does without cvtk."""

from __future__ import annotations

import ast
import importlib
import inspect


def module_source(name: str) -> str:
    """What a module of the recipe defines, as it is written there: without its docstring and imports.

    Args:
        name: Of a module of `cvtk.recipe`.
    """
    text = inspect.getsource(importlib.import_module(f"cvtk.recipe.{name}"))
    lines = text.splitlines()
    start = 0
    for node in ast.parse(text).body:
        is_docstring = isinstance(node, ast.Expr)
        if is_docstring or isinstance(node, (ast.Import, ast.ImportFrom)):
            start = node.end_lineno or 0
    return "\n".join(lines[start:]).strip("\n")
