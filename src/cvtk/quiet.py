"""Hides what libraries say as they work."""

from __future__ import annotations

import contextlib
import io
import warnings
from typing import Any


def quiet() -> contextlib.AbstractContextManager[Any]:
    """Libraries print and warn as they go; what concerns the user is said by cvtk."""
    stack = contextlib.ExitStack()
    stack.enter_context(warnings.catch_warnings())
    warnings.simplefilter("ignore")
    stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
    return stack
