"""What all exported files share."""

from __future__ import annotations

import os

import pytest

from cvtk.exported.kinds import is_exported, threads


@pytest.mark.parametrize("name", ["a.onnx", "a.xml", "a.torchscript"])
def test_a_kind_is_known_by_its_name(name, tmp_path):
    assert is_exported(tmp_path / name)


def test_weights_are_not_exported(tmp_path):
    assert not is_exported(tmp_path / "a.pth")


@pytest.mark.parametrize(("said", "number"), [("1", 1), ("0", 2), ("", 2), ("64", 2)])
def test_no_more_threads_than_cores_or_as_the_user_says(monkeypatch, said, number):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 5}, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert threads() == number
