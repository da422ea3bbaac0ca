"""The recipe as source text, for the script that does without cvtk."""

from __future__ import annotations

import ast
import importlib
import inspect
import re

# The sections of a docstring that a reader of the library needs, and a script does without.
_SECTION = re.compile(r"^ +(Args|Returns|Raises):$")
_REMOVED = "\0"


def module_source(name: str) -> str:
    """What a module of the recipe defines, as it is written there, comments and all.

    Its docstring and imports are left out, and so are the sections of docstrings that go through arguments.

    Args:
        name: Of a module of `cvtk.recipe`.
    """
    text = inspect.getsource(importlib.import_module(f"cvtk.recipe.{name}"))
    lines = text.splitlines()
    tree = ast.parse(text)
    for statement in tree.body:
        if isinstance(statement, (ast.Expr, ast.Import, ast.ImportFrom)):
            _remove(lines, statement)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            _shorten_docstring(lines, node.body[0])
    return "\n".join(line for line in lines if line != _REMOVED).strip("\n")


def _remove(lines: list[str], node: ast.stmt) -> None:
    """Marks the lines of a statement as removed, so that the numbers of the others stay."""
    for number in range(node.lineno - 1, node.end_lineno or node.lineno):
        lines[number] = _REMOVED


def _shorten_docstring(lines: list[str], docstring: ast.stmt) -> None:
    """Ends a docstring before its first section."""
    start, end = docstring.lineno - 1, docstring.end_lineno or docstring.lineno
    sections = [n for n in range(start, end) if _SECTION.match(lines[n])]
    if not sections:
        return
    last = sections[0] - 2  # an empty line stands between
    for number in range(last + 1, end):
        lines[number] = _REMOVED
    if last == start:
        lines[last] += '"""'
    else:
        lines[last + 1] = '    """'
