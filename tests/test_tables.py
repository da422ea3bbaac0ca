"""Tables of the command line: aligned whatever stands in them."""

from __future__ import annotations

from cvtk.tables import table


def test_words_to_the_left_and_numbers_to_the_right():
    rows = [("leaf", 12, "1.50"), ("strawberry", 3, None)]
    assert table(rows, ("class", "objects", "AP"), right=[1, 2]).splitlines() == [
        "class       objects    AP",
        "leaf             12  1.50",
        "strawberry        3     -",
    ]


def test_numbers_stay_as_they_are_written():
    assert table([("1e5", "0.10", "007")]) == "1e5  0.10  007"


def test_wide_letters_take_two_columns():
    first, second = table([("花", "x"), ("ab", "x")]).splitlines()
    assert (first, second) == ("花  x", "ab  x")


def test_nothing_in_a_cell_steers_the_terminal_or_breaks_the_row():
    assert table([("a\x1b[31mb\nc", "x")]) == r"a\x1b[31mb\nc  x"


def test_without_rows():
    assert table([]) == ""
    assert table([], ("a", "b")) == "a  b"
