"""Rules of the house that a reader relies on: sizes, and options that travel as what they are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import cvtk

SOURCE = Path(cvtk.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
MOST_LINES = 400
MOST_LINES_OF_A_FUNCTION = 60
# Longer functions, and why.
LONG = {"mask_rcnn": "an argument for each part of the network, and what it means"}


def functions(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


@pytest.fixture(params=FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def path(request):
    return request.param


def test_files_are_read_in_one_go(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_functions_are_seen_at_once(path):
    if path.parent.name == "ops":
        return  # their signatures are mmcv's
    for node in functions(path):
        length = node.end_lineno - node.lineno + 1
        assert length <= MOST_LINES_OF_A_FUNCTION or node.name in LONG, (
            f"{node.name}: {length} lines"
        )


def test_options_travel_as_typed_objects(path):
    for node in functions(path):
        arguments = node.args
        for argument in (
            *arguments.posonlyargs,
            *arguments.args,
            *arguments.kwonlyargs,
        ):
            if argument.arg == "options":
                assert argument.annotation is not None, node.name
                kind = ast.unparse(argument.annotation)
                assert not re.search(r"\b(dict|Dict|Mapping)\b", kind), node.name


def test_below_the_command_line_nothing_prints(path):
    """Messages go to `cvtk.log`; what a training shows on its line of progress goes to its console."""
    part = path.relative_to(SOURCE).parts[0]
    if part in ("cli", "results.py"):  # `Result.print` is asked for
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        is_print = isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
        if is_print:
            assert any(keyword.arg == "file" for keyword in node.keywords), (
                f"line {node.lineno}"
            )
