"""Configurations: of architectures, which are run as Python, and beside weights, of which nothing runs."""

from __future__ import annotations

import ast
import contextlib
import importlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cvtk.errors import ModelError, one_line
from cvtk.io import read_text
from cvtk.recipe.nodes import each_dict

BUILDERS: dict[str, Callable[..., Any]] = {
    "dict": dict,
    "list": list,
    "set": set,
    "tuple": tuple,
}
# How `Config.dump` writes numbers that have no literal.
NUMBERS = {"inf": float("inf"), "nan": float("nan")}
# Packages that a configuration may import or name parts of: they register architectures, nothing of the user's.
PACKAGES = ("mmdet", "mmcv", "mmengine", "mmpretrain", "projects")
# Modules of ours that register architectures, by the names under which a configuration imports them: as the library
# writes it, and as a script without cvtk does, which has a copy beside it.
OWN_MODULES = {"cvtk.pose2seg": "cvtk.pose2seg", "pose2seg": "cvtk.pose2seg"}
# A part by its package: `mmpretrain.ConvNeXt`. MMEngine would import any other dotted name, and call it.
PART = re.compile(
    rf"(?:{'|'.join(PACKAGES)}|torch\.nn|torch\.optim)\.[A-Z]\w*", re.ASCII
)
# Keys under which a part names a file that it opens in its own way.
OTHER_FILES = ("teacher_config", "checkpoint_path")
# What parsing a damaged file, or making a `Config` of odd values, may raise.
FAILURES = (
    *(SyntaxError, LookupError, TypeError, ValueError, AttributeError),
    *(OSError, ImportError, RecursionError, MemoryError),
)
# What each training changes; `_base_` of an architecture brings it all.
NEEDED = (
    *("model.type", "train_cfg", "optim_wrapper.optimizer", "default_hooks", "env_cfg"),
    *("train_dataloader.dataset", "val_dataloader.dataset", "test_dataloader.dataset"),
)
REMEDY = "If you trust who made it: trust_weights=True."


class _NotPlain(Exception):
    """A place in a configuration that is more than a value."""

    def __init__(self, node: ast.AST, problem: str) -> None:
        self.line = getattr(node, "lineno", 1)
        self.problem = problem
        super().__init__(problem)


def read_architecture(file: Path) -> dict[str, Any]:
    """The configuration of an architecture: one of MMDetection's, or the user's own, which may compute.

    Raises:
        ModelError: It cannot be read, or lacks what a training needs.
    """
    from mmengine.config import Config

    try:
        cfg: dict[str, Any] = Config.fromfile(
            file, import_custom_modules=False
        ).to_dict()
    except Exception as error:  # it is Python, which may raise anything
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise ModelError(
            f"{file}{line} cannot be read as a configuration ({one_line(error)}).",
            "Mend the file.",
        ) from None
    for key in NEEDED:
        part: Any = cfg
        for name in key.split("."):
            part = part.get(name) if isinstance(part, dict) else None
        if not part:
            raise ModelError(
                f"{file} has no {key}, which a training needs.",
                "Begin it with _base_ = and a configuration of MMDetection.",
            )
    return cfg


def read_config(file: Path, trust: bool = False) -> Any:
    """The configuration that lies beside weights, as MMEngine's `Config`.

    Args:
        file: The configuration, `NAME.py`.
        trust: Whether it may import and call anything as it is read.

    Raises:
        FileError: It is missing, or is not text.
        ModelError: It cannot be read, or does more than name values.
    """
    from mmengine.config import Config
    from mmengine.utils import import_modules_from_strings

    try:
        if trust:
            return Config.fromfile(file)
        values = require_plain(file)
        if values.get("custom_imports"):
            modules = _imported(values["custom_imports"])
            ours = [OWN_MODULES.get(module, module) for module in modules]
            values["custom_imports"]["imports"] = ours
            import_modules_from_strings(**values["custom_imports"])
        for kind in _dotted_kinds(values):
            if not _is_registered(kind):
                raise ModelError(f"{file}: it would call {kind}.", REMEDY)
        return Config(values, filename=str(file))
    except FAILURES as error:
        raise _unreadable(file, error) from None


def require_plain(file: Path) -> dict[str, Any]:
    """Reads a configuration that only names values, as `Config.dump` writes it, without running it.

    Returns:
        The values by their names.

    Raises:
        FileError: It is missing, or is not text.
        ModelError: It would import, call or compute something; the message tells the line.
    """
    text = read_text(file)
    try:
        return dict(_assignment(node) for node in ast.parse(text).body)
    except _NotPlain as place:
        raise ModelError(
            f"{file}, line {place.line}: {place.problem}.", REMEDY
        ) from None
    except FAILURES as error:
        raise _unreadable(file, error) from None


def _assignment(node: ast.stmt) -> tuple[str, Any]:
    """The name and the value of an assignment, which is all that a plain configuration has."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        raise _NotPlain(node, "it imports something")
    if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
        raise _NotPlain(node, "it does more than name values")
    name = node.targets[0].id
    if name == "_base_":
        raise _NotPlain(node, "it reads another configuration")
    if len(node.targets) > 1 or name.startswith("_"):
        raise _NotPlain(node, "it does more than name values")
    value = _value(node.value)
    for problem in _foreign_parts({name: value}):
        raise _NotPlain(node, problem)
    return name, value


def _value(node: ast.expr) -> Any:
    """The value of an expression of literals and calls of `dict` and the like."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name) and node.id in NUMBERS:
        return NUMBERS[node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_number(node.operand)
    if isinstance(node, ast.List):
        return [_value(item) for item in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_value(item) for item in node.elts)
    if isinstance(node, ast.Set):
        return {_value(item) for item in node.elts}
    if isinstance(node, ast.Dict):
        return {_value(key): _value(value) for key, value in _items(node)}
    if isinstance(node, ast.Call):
        return _built(node)
    raise _NotPlain(node, "it does more than name values")


def _items(node: ast.Dict) -> Iterator[tuple[ast.expr, ast.expr]]:
    """The keys and values of a dict."""
    for key, value in zip(node.keys, node.values, strict=True):
        if key is None:  # as **another is given
            raise _NotPlain(node, "it does more than name values")
        yield key, value


def _number(node: ast.expr) -> Any:
    value = _value(node)
    if not isinstance(value, (int, float)):
        raise _NotPlain(node, "it does more than name values")
    return value


def _built(node: ast.Call) -> Any:
    """What a call of `dict`, `list`, `set` or `tuple` makes."""
    if not isinstance(node.func, ast.Name) or node.func.id not in BUILDERS:
        raise _NotPlain(node, f"it calls {ast.unparse(node.func):.60}")
    arguments = [_value(argument) for argument in node.args]
    named = {}
    for keyword in node.keywords:
        if keyword.arg is None:
            raise _NotPlain(node, "it does more than name values")
        named[keyword.arg] = _value(keyword.value)
    return BUILDERS[node.func.id](*arguments, **named)


def _foreign_parts(values: dict[str, Any]) -> Iterator[str]:
    """What a plain configuration would let MMEngine import, call or read, beyond MMDetection's own parts."""
    for module in _imported(values.get("custom_imports")):
        if str(module).split(".")[0] not in PACKAGES and module not in [*OWN_MODULES]:
            yield f"it imports {module}"
    for kind in _dotted_kinds(values):
        if not PART.fullmatch(kind):
            yield f"it would call {kind}"
    for part in each_dict(values):
        if part.get("_scope_", "mmdet") not in PACKAGES:
            yield f"it would import {part['_scope_']}"
        for key in OTHER_FILES:
            if part.get(key) and isinstance(part[key], str):
                yield f"it reads another file, {part[key]}"
    if values.get("default_scope", "mmdet") not in (None, *PACKAGES):
        yield f"it would import {values['default_scope']}"


def _dotted_kinds(values: dict[str, Any]) -> Iterator[str]:
    """The names of parts that MMEngine may import by their module."""
    for part in each_dict(values):
        for key in ("type", "constructor"):
            kind = part.get(key)
            if isinstance(kind, str) and "." in kind:
                yield kind


def _is_registered(kind: str) -> bool:
    """Whether a package registers such a part; else MMEngine would call whatever has that name."""
    from mmengine import registry as registries

    scope, _, name = kind.rpartition(".")
    if scope.startswith("torch."):
        return True
    with contextlib.suppress(ImportError):  # which adds the package's own registries
        importlib.import_module(f"{scope}.registry")
    for root in vars(registries).values():
        if isinstance(root, registries.Registry):
            own = root.children.get(scope, root)
            own.import_from_location()
            if name in own.module_dict or name in root.module_dict:
                return True
    return False


def _imported(custom_imports: Any) -> list[Any]:
    """The modules that a configuration asks MMEngine to import: one, or a list."""
    if not custom_imports:
        return []
    modules = custom_imports["imports"] or []
    return list(modules) if isinstance(modules, (list, tuple)) else [modules]


def _unreadable(file: Path, error: BaseException) -> ModelError:
    return ModelError(
        f"{file} cannot be read as a configuration ({one_line(error)}).",
        "Put the file back that lay there when the weights were trained.",
    )
