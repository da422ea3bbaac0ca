"""Fonts: letters of many scripts, and what is done where none has them."""

from __future__ import annotations

import pytest

from cvtk.visual.fonts import can_write, font_for, writable


@pytest.mark.parametrize("text", ["strawberry 0.93", "Blüte", "цветок", "μ → œ", "a b"])
def test_letters_beyond_ascii_are_written(text):
    assert writable(text)
    assert can_write(font_for(text, 20), text)


def test_a_letter_that_no_font_has_is_noticed():
    assert not writable("\U0010fff0")
