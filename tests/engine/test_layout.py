"""Each configuration is laid out once, as MMEngine does it."""

from __future__ import annotations

import pytest

pytest.importorskip("mmengine", reason="needs MMEngine")

from mmengine.config import Config
from yapf.yapflib import yapf_api

from cvtk.engine.layout import laid_out_once


def test_the_text_is_that_of_mmengine_and_made_once(monkeypatch):
    first = Config({"model": {"type": "A", "sizes": list(range(40))}, "name": "a"})
    expected = first.pretty_text
    formatted = []
    format_code = yapf_api.FormatCode

    def counted(text, **options):
        formatted.append(text)
        return format_code(text, **options)

    monkeypatch.setattr(yapf_api, "FormatCode", counted)
    with laid_out_once():
        assert [first.pretty_text for _ in range(3)] == [expected] * 3
        assert len(formatted) == 1
        first.name = "b"
        assert first.pretty_text == expected.replace("'a'", "'b'")
    assert len(formatted) == 2
    assert yapf_api.FormatCode is counted
