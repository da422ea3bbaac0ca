"""Whole files or none."""

from __future__ import annotations

import pytest

from cvtk.errors import FileError
from cvtk.files import written_whole


def test_the_name_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "new folder" / "a.txt"
    with written_whole(path) as part:
        part.write_text("whole")
        assert not path.exists()
        assert (part.parent, part.suffix) == (path.parent, ".txt")
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), written_whole(path, force=True) as part:
        part.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_existing_file_needs_force(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with (
        pytest.raises(FileError, match=r"a\.txt exists already.*--force"),
        written_whole(path),
    ):
        pass
    with written_whole(path, force=True) as part:
        part.write_text("new")
    assert path.read_text() == "new"


def test_a_folder_that_is_a_file_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(FileError, match="cannot be written"),
        written_whole(tmp_path / "file" / "a.txt"),
    ):
        pass
