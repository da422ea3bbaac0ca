"""`cvtk measure` on the demo's annotations."""

from __future__ import annotations

import pandas as pd
import pytest
from click.testing import CliRunner

import cvtk
from cvtk.cli import main


def run(*words):
    return CliRunner().invoke(main, ["measure", *map(str, words)])


def test_writes_two_tables(demo, tmp_path):
    out = tmp_path / "tables"
    done = run(demo.test, "--output", out, "--mm-per-pixel", "0.25")
    assert done.exit_code == 0, done.output
    table = pd.read_csv(out / "objects.csv")
    assert f"{len(table)} objects: {out / 'objects.csv'}" in done.output
    expected = cvtk.measure_objects(demo.test, mm_per_pixel=0.25)
    pd.testing.assert_frame_equal(table, expected.objects, check_dtype=False, rtol=1e-6)
    assert len(pd.read_csv(out / "summary.csv")) == len(expected.summary)


def test_nothing_is_replaced_unasked(demo, tmp_path):
    (tmp_path / "summary.csv").write_text("mine")
    done = run(demo.test, "--output", tmp_path)
    assert done.exit_code == 1
    assert "summary.csv exists already" in done.stderr
    assert run(demo.test, "--output", tmp_path, "--force").exit_code == 0


@pytest.mark.parametrize(
    "words",
    [
        ("--scale_class", "ruler"),
        ("--mm_per_pixel", "nothing.csv"),
        ("--scale-class", "strawbery", "--scale-length", "10"),
        ("--images", "elsewhere"),
    ],
)
def test_a_mistake_is_one_line(demo, tmp_path, words):
    done = run(demo.test, "--output", tmp_path / "out", *words)
    assert done.exit_code == 1
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()
