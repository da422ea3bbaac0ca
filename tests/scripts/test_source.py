"""A module of the recipe as source for the vanilla scripts: all it defines, comments and all, without imports."""

from __future__ import annotations

import ast
import importlib
import inspect

import pytest

from cvtk.scripts.source import MODULES, module_source


def names(source):
    """What a source defines at its top."""
    found = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef):
            found.append(node.name)
        elif isinstance(node, (ast.Assign, ast.AugAssign)):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            found.append(ast.unparse(target))
    return found


@pytest.mark.parametrize("name", MODULES)
def test_all_is_there_but_docstring_and_imports(name):
    whole = inspect.getsource(importlib.import_module(f"cvtk.recipe.{name}"))
    part = module_source(name)
    assert names(part) == names(whole)
    for node in ast.parse(part).body:
        assert not isinstance(node, (ast.Import, ast.ImportFrom))
    assert ast.get_docstring(ast.parse(part)) is None
    comments = [line for line in whole.splitlines() if line.startswith("#")]
    assert all(comment in part for comment in comments)


def test_functions_keep_their_docstrings():
    (function,) = ast.parse(module_source("fit")).body
    assert "Args:" in ast.get_docstring(function)
