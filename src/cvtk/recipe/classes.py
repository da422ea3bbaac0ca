"""The number of classes, wherever an architecture keeps it."""

from __future__ import annotations

from cvtk.recipe.nodes import Node, each_dict, set_where_present


def set_classes(model: Node, count: int) -> None:
    """Sets the number of classes in all heads of a model."""
    set_where_present(model, num_classes=count, num_things_classes=count)
    set_where_present(model, num_stuff_classes=0)
    for part in each_dict(model):
        weights = part.get("class_weight")
        if isinstance(weights, list):  # one per class, and the last for "no object"
            part["class_weight"] = [1.0] * count + weights[-1:]
