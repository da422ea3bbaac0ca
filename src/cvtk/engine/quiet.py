"""Keeps what MMDetection and pycocotools print off the console."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

from cvtk.log import keep_console


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Hides what libraries print and warn of as they work; cvtk's own messages still show."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(keep_console())
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        nowhere = stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
        stack.enter_context(contextlib.redirect_stdout(nowhere))
        yield
