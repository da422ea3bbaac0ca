"""MMEngine lays out a configuration as text anew with every checkpoint; here each is laid out once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def laid_out_once() -> Iterator[None]:
    """Lets MMEngine lay out each configuration once; the texts are the same.

    `Config.pretty_text` formats by yapf, which takes half a second. MMEngine asks for it with each checkpoint, so
    twice in an epoch: a tenth of a training on sixty images.
    """
    from yapf.yapflib import yapf_api

    format_code = yapf_api.FormatCode
    known: dict[str, tuple[str, bool]] = {}

    def format_once(text: str, **options: Any) -> tuple[str, bool]:
        if text not in known:
            known[text] = format_code(text, **options)
        return known[text]

    yapf_api.FormatCode = format_once
    try:
        yield
    finally:
        yapf_api.FormatCode = format_code
