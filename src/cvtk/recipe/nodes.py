"""Finding and changing keys anywhere inside a configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def each_dict(node: Any) -> Iterator[dict[str, Any]]:
    """Yields every dict inside a configuration, the outermost first."""
    children: list[Any] = []
    if isinstance(node, dict):
        yield node
        children = list(node.values())
    elif isinstance(node, (list, tuple)):
        children = list(node)
    for child in children:
        yield from each_dict(child)


def set_where_present(node: Any, **values: Any) -> None:
    """Sets keys in every dict that has them, and in no other."""
    for part in each_dict(node):
        part.update({key: values[key] for key in values.keys() & part.keys()})


def update_where_present(node: Any, key: str, update: Callable[[Any], Any]) -> None:
    """Replaces the value of a key, in every dict that has it, by a function of the old value."""
    for part in each_dict(node):
        if key in part:
            part[key] = update(part[key])
