"""Messages for users: of the command line, and of Python."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvtk.errors import CvtkError, FileError
from cvtk.io import atomic_folder, require_free


@pytest.mark.parametrize(
    "way", [require_free, lambda path: atomic_folder(path).__enter__()]
)
def test_each_user_is_told_the_option_as_they_write_it(way, tmp_path):
    taken = tmp_path / "force=True"  # a name stays as it is
    if way is require_free:
        taken.write_text("mine")
    else:
        (taken / "mine").mkdir(parents=True)
    with pytest.raises(FileError) as error:
        way(taken)
    in_python, on_command_line = str(error.value), error.value.on_command_line()
    assert "or use force=True to replace" in in_python
    assert "--" not in in_python
    assert "or use --force to replace" in on_command_line
    assert on_command_line.startswith(f"{taken} exists already")


def test_no_message_in_the_code_names_both_forms_of_a_switch():
    source = Path(__file__).parents[1] / "src"
    texts = [file.read_text("utf-8") for file in source.rglob("*.py")]
    assert not [text for text in texts if "=True in Python" in text]


def test_an_error_without_a_remedy_is_its_message():
    assert CvtkError("No.").on_command_line() == "No."
