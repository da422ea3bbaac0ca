"""The cache is used, mended, and done without."""

from __future__ import annotations

import os
import re

import pytest

from cvtk import zoo
from cvtk.zoo import cache, index


def test_the_cache_is_used(small):
    zoo.catalogue()
    (path,) = cache.cache_folder().glob("zoo-*.json")
    path.write_text(path.read_text().replace("34.7", "99.9"))
    index.all_entries.cache_clear()
    assert zoo.find("mask-rcnn_r50_fpn_1x_coco").mask_ap == 99.9


DAMAGE = {
    "empty": lambda text: "",
    "a list": lambda text: "[]",
    "another key": lambda text: '{"key": 1}',
    "cut": lambda text: text[:200],
    "not UTF-8": lambda text: text.encode() + b"\xff",
    "a field of another name": lambda text: text.replace("family", "kin"),
    "a field of another type": lambda text: text.replace("34.7", '"34.7"'),
    "items that are numbers": lambda text: re.sub(
        r'"items": .*', '"items": [1, 2]}', text
    ),
    "a name that is null": lambda text: re.sub(
        r'"name": "[^"]+"', '"name": null', text
    ),
    "deeply nested": lambda text: "[" * 100_000,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_to_the_cache_is_mended(small, damage):
    first = zoo.catalogue()
    (path,) = cache.cache_folder().glob("zoo-*.json")
    whole = path.read_text()
    damaged = DAMAGE[damage](whole)
    path.write_bytes(damaged if isinstance(damaged, bytes) else damaged.encode())
    index.all_entries.cache_clear()
    assert zoo.catalogue() == first
    assert path.read_text() == whole


def test_a_pipe_in_place_of_the_cache_is_not_waited_for(small):
    first = zoo.catalogue()
    (path,) = cache.cache_folder().glob("zoo-*.json")
    path.unlink()
    os.mkfifo(path)
    index.all_entries.cache_clear()
    assert zoo.catalogue() == first


def test_cache_that_cannot_be_written_is_done_without(small, monkeypatch):
    blocked = small / "a file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert len(zoo.catalogue()) == 3


def test_nothing_is_written_where_there_is_no_home(small, monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert len(zoo.catalogue()) == 3
    assert sorted(tmp_path.iterdir()) == before, "no folder called ~"
