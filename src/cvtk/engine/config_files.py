"""The configuration beside weights: it is Python, which MMEngine runs, so it is looked at first."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cvtk.errors import ModelError
from cvtk.io import read_text

# What a configuration that MMEngine wrote consists of: names, values, and calls of `dict`.
_VALUES = (
    *(ast.Module, ast.Assign, ast.Name, ast.Load, ast.Store, ast.keyword),
    *(ast.Constant, ast.List, ast.Tuple, ast.Dict, ast.Set, ast.UnaryOp, ast.USub),
)
_BUILDERS = ("dict", "list", "set", "tuple")
# Packages that `custom_imports` may name: they register architectures, and nothing of the user's.
_PACKAGES = ("mmdet", "mmcv", "mmengine", "mmpretrain", "projects")
_REMEDY = "If you trust who made it: --trust_weights."


def read_config(file: Path, trust: bool = False) -> Any:
    """The configuration that lies beside weights.

    Args:
        file: The configuration, `NAME.py`.
        trust: Whether it may import and call anything as it is read.

    Raises:
        ModelError: It cannot be read, or does more than name values.
    """
    from mmengine.config import Config

    if not trust:
        require_plain(file)
    try:
        return Config.fromfile(file)
    except (SyntaxError, KeyError, TypeError, ValueError, OSError) as error:
        raise _unreadable(file, error) from None


def require_plain(file: Path) -> None:
    """Checks that a configuration only names values.

    Raises:
        ModelError: It would import, call or compute something; the message tells the line.
    """
    try:
        tree = ast.parse(read_text(file))
    except (SyntaxError, ValueError, RecursionError) as error:
        raise _unreadable(file, error) from None
    for line, problem in _problems(tree):
        raise ModelError(f"{file}, line {line}: {problem}.", _REMEDY)


def _problems(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 1)
        if isinstance(node, ast.Call):
            function = ast.unparse(node.func)
            if function not in _BUILDERS:
                yield line, f"it calls {function}"
        elif not isinstance(node, _VALUES):
            yield line, "it does more than name values"
        elif isinstance(node, ast.Assign):
            yield from _assignment_problems(node)


def _assignment_problems(node: ast.Assign) -> Iterator[tuple[int, str]]:
    names = [ast.unparse(target) for target in node.targets]
    if "_base_" in names:
        yield node.lineno, "it reads another configuration"
    if "custom_imports" not in names:
        return
    for part in ast.walk(node.value):
        if isinstance(part, ast.List):
            for module in part.elts:
                package = ast.unparse(module).strip("'\"").split(".")[0]
                if package not in _PACKAGES:
                    yield node.lineno, f"it imports {package}"


def _unreadable(file: Path, error: Exception) -> ModelError:
    return ModelError(
        f"{file} cannot be read as a configuration ({error}).",
        "Put the file back that lay there when the weights were trained.",
    )
