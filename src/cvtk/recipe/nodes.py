"""Finding and changing keys anywhere inside a configuration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Node = dict[str, Any]  # a configuration, or a part of one


def each_dict(node: Any) -> Iterator[Node]:
    """Yields every dict inside a configuration, the outermost first."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for child in node:
            yield from each_dict(child)


def set_where_present(node: Any, **values: Any) -> None:
    """Sets keys in every dict that has them, and in no other."""
    for part in each_dict(node):
        part.update({key: values[key] for key in values.keys() & part.keys()})
