"""Writes configurations as text: what MMEngine leaves to yapf, in a fiftieth of its time."""

from __future__ import annotations

import ast
import contextlib
import keyword
from collections.abc import Iterator
from typing import Any

WIDTH = 79  # columns, as in MMDetection's own configurations


@contextlib.contextmanager
def quick_layout() -> Iterator[None]:
    """Lets MMEngine's `Config.pretty_text` and `Config.dump` write and lay out text as here, without yapf.

    yapf takes half a second in a process as large as a training, and MMEngine asks for a layout at the start and with
    each checkpoint, so twice in an epoch: a tenth of a training on sixty images.

    Its import fails where its cache in the user's home is empty: for a moment while another process writes it, as when
    the processes of a training start together on a new machine, and for good where the disk was full. And the original
    MMEngine cannot lay out a configuration with classes in it.
    """
    from mmengine.config import Config

    theirs = Config.pretty_text
    Config.pretty_text = property(configuration_text)
    try:
        yield
    finally:
        Config.pretty_text = theirs


def configuration_text(cfg: Any) -> str:
    """A configuration as a Python file, which says what MMEngine's own says; a class is named by a string.

    Args:
        cfg: MMEngine's `Config`.
    """
    settings = _in_order(cfg.to_dict())
    return lay_out("".join(f"{k} = {expression(v)}\n" for k, v in settings))


def expression(value: Any) -> str:
    """A value of a configuration as Python, on one line."""
    if isinstance(value, dict):
        items = [(key, expression(item)) for key, item in _in_order(value)]
        if all(isinstance(key, str) and _is_name(key) for key in value):
            return f"dict({', '.join(f'{key}={item}' for key, item in items)})"
        return f"{{{', '.join(f'{key!r}: {item}' for key, item in items)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(expression, value))}]"
    if isinstance(value, tuple):
        return f"({''.join(f'{expression(item)}, ' for item in value)})"
    if isinstance(value, type):
        if value.__module__ == "builtins":
            return value.__name__
        return repr(f"{value.__module__}.{value.__qualname__}")
    return repr(value) if isinstance(value, str) else str(value)


def _in_order(settings: dict[Any, Any]) -> list[tuple[Any, Any]]:
    return sorted(settings.items(), key=lambda item: str(item[0]))


def _is_name(text: str) -> bool:
    """Whether a text can be the name of an argument; of others than ASCII, Python may read another one."""
    return text.isascii() and text.isidentifier() and not keyword.iskeyword(text)


def lay_out(text: str) -> str:
    """Breaks the lines of a Python text that are too long, at the commas of its calls, lists and dicts.

    Args:
        text: Python of any kind; comments are lost.

    Returns:
        The same Python. What is in brackets stays on a line where it fits `WIDTH` columns, else each item begins a line
        of its own. Strings are not broken.
    """
    statements = [_statement(node) for node in ast.parse(text).body]
    return "\n".join(statements) + "\n"


def _statement(node: ast.stmt) -> str:
    if isinstance(node, ast.Assign):
        targets = "".join(f"{ast.unparse(target)} = " for target in node.targets)
        return targets + _fit(node.value, used=len(targets), indent=0)
    return ast.unparse(node)


def _fit(node: ast.expr, used: int, indent: int) -> str:
    """An expression on one line where it fits, else an item per line.

    Args:
        node: The expression.
        used: Columns of its first line that are taken by what is around it.
        indent: Columns at which its last line begins.
    """
    flat = _flat(node)
    bracketed = _bracketed(node)
    if used + len(flat) <= WIDTH or bracketed is None or not bracketed[1]:
        return flat
    opening, items, closing = bracketed
    inner = indent + 4
    lines = []
    for before, value in items:
        # One column is for the comma.
        item = before + _fit(value, inner + len(before) + 1, inner)
        lines.append(f"{' ' * inner}{item},\n")
    return f"{opening}\n{''.join(lines)}{' ' * indent}{closing}"


def _flat(node: ast.expr) -> str:
    """An expression on one line."""
    bracketed = _bracketed(node)
    if bracketed is None:
        return ast.unparse(node)
    opening, items, closing = bracketed
    inside = ", ".join(before + _flat(value) for before, value in items)
    if isinstance(node, ast.Tuple) and len(items) == 1:
        inside += ","
    return opening + inside + closing


def _bracketed(
    node: ast.expr,
) -> tuple[str, list[tuple[str, ast.expr]], str] | None:
    """An expression's brackets and its items, each with what stands before its value; None where there are none."""
    if isinstance(node, ast.List):
        return "[", [("", item) for item in node.elts], "]"
    if isinstance(node, ast.Tuple):
        return "(", [("", item) for item in node.elts], ")"
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return "{", [(_key(key), value) for key, value in pairs], "}"
    if isinstance(node, ast.Call):
        items = [("", item) for item in node.args]
        items += [(_name(keyword), keyword.value) for keyword in node.keywords]
        return f"{_flat(node.func)}(", items, ")"
    return None


def _key(key: ast.expr | None) -> str:
    """What stands before a value of a dict; `**` where the value is unpacked."""
    return "**" if key is None else f"{_flat(key)}: "


def _name(keyword: ast.keyword) -> str:
    """What stands before a value of a call."""
    return "**" if keyword.arg is None else f"{keyword.arg}="
