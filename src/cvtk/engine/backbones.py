"""What a backbone can do that not every backbone can."""

from __future__ import annotations

import inspect
from typing import Any

from cvtk.errors import OptionError


def require_frozen_stages(model: dict[str, Any]) -> None:
    """Checks that the stages of an architecture's backbone can be kept from learning.

    Args:
        model: The model's part of a configuration.

    Raises:
        OptionError: They cannot.
    """
    from mmdet.registry import MODELS

    backbone = model.get("backbone") or {}
    name = str(backbone.get("type", ""))
    kind = MODELS.get(name) if name else None
    if (
        name and kind is None
    ):  # of a package that is not installed, which is told elsewhere
        return
    if kind is None or not takes(kind, "frozen_stages"):
        lacking = f"the backbone {name}" if name else "this architecture"
        raise OptionError(
            f"frozen_stages: {lacking} has no stages that can be kept from learning.",
            "Leave it out.",
        )


def takes(kind: type[Any], argument: str) -> bool:
    """Whether a class takes an argument, by itself or by handing it on to its base."""
    for base in kind.__mro__:
        constructor = vars(base).get("__init__")
        if constructor is None:
            continue
        parameters = inspect.signature(constructor).parameters
        if argument in parameters:
            return True
        if not any(p.kind == p.VAR_KEYWORD for p in parameters.values()):
            return False
    return False
