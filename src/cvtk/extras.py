"""The parts of cvtk that `pip install` takes by name: what they need, and the line that says so where it is missing."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Literal, TypeAlias

from cvtk.errors import InstallError
from cvtk.log import logger

Extra: TypeAlias = Literal["analysis", "export", "onnx", "openvino", "serve"]


def require(extra: Extra, what: str, *modules: str) -> None:
    """Sees to it that modules of an extra can be imported.

    Args:
        extra: As `pyproject.toml` calls it.
        what: What needs them; begins the message.
        modules: Their names.

    Raises:
        InstallError: One of them is not installed.
    """
    for name in modules:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise InstallError(
                f"{what} needs {error.name or name}, which is not installed.",
                f'Install it with: pip install "cvtk[{extra}]"',
            ) from None


def can_draw(what: str) -> bool:
    """Whether matplotlib is installed, without which figures are left out.

    Args:
        what: What is left out; begins the warning that says so.
    """
    if has_matplotlib():
        return True
    logger.warning(
        f"{what} left out: matplotlib is not installed."
        ' Install it with: pip install "cvtk[analysis]"'
    )
    return False


def has_matplotlib() -> bool:
    """Whether matplotlib is installed; importing it would take a second."""
    return importlib.util.find_spec("matplotlib") is not None
