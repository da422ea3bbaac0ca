"""The figures as files: named after what they show and the class, whatever its name is."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image
from scenes import Scene, write

from cvtk.analysis import drawings, figures
from cvtk.analysis.drawings import FILE, draw
from cvtk.analysis.study import study
from cvtk.data import read
from cvtk.errors import FileError


def write_figures(told, folder, *, force=False):
    """All figures of an evaluation."""
    classes = told.matches.truth.class_order
    drawings.write_figures(draw(told), classes, folder, force=force)


def analysed(folder, classes=("leaf", "stem", "root")):
    scene = Scene()
    for _ in range(3):
        scene.found("leaf")
        scene.found("stem", score=0.5)
        scene.missed("stem")
    file = write(folder, scene.truth, classes=classes)
    return study(read(file), scene.predictions, "segm", draws=2)


def test_each_figure_is_there_twice(tmp_path):
    write_figures(analysed(tmp_path), tmp_path / "figures")
    written = {path.name for path in (tmp_path / "figures").iterdir()}
    stems = {"confusion", "reliability"} | {
        f"{what}.{name}"
        for what in ("precision_recall", *drawings.COUNTS_AND_AREAS)
        for name in ("leaf", "stem")  # there is no root
    }
    assert written == {f"{stem}.{end}" for stem in stems for end in ("png", "svg")}
    assert all(FILE.fullmatch(name) for name in written)
    for path in (tmp_path / "figures").glob("*.svg"):
        assert ElementTree.parse(path).getroot().tag.endswith("svg")
    with Image.open(tmp_path / "figures" / "count.leaf.png") as image:
        assert min(image.size) > 500


def test_names_that_are_no_files(tmp_path):
    names = ("../leaf", "Stem", "stem")
    write_figures(analysed(tmp_path, names), tmp_path / "figures")
    written = {path.name for path in (tmp_path / "figures").iterdir()}
    assert "count.class-1.svg" in written
    assert "count.class-2.svg" in written, "some systems take Stem and stem for one"
    assert not list(tmp_path.glob("*.svg"))


def test_nothing_is_replaced_unasked(tmp_path):
    told = analysed(tmp_path)
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "mine.txt").write_text("mine")
    with pytest.raises(FileError, match="not empty"):
        write_figures(told, tmp_path / "figures")
    write_figures(told, tmp_path / "figures", force=True)
    assert (tmp_path / "figures" / "mine.txt").read_text() == "mine"


def test_the_dots_of_many_images_are_one_picture():
    few, many = (
        figures.svg(figures.true_against_found(values, values, "count"))
        for values in (np.arange(900.0), np.arange(20_000.0))
    )
    assert "data:image/png;base64," in many and "<image" not in few
    assert len(many) < 300_000
    ElementTree.fromstring(many)


def test_the_confusion_matrix_has_the_counts_and_any_name():
    counts = np.array([[7, 0, 2], [1, 0, 0], [0, 3, 0]])
    page = figures.svg(figures.confusion(counts, ["$\\frac{", "<script>"]))
    texts = [
        "".join(element.itertext()).strip()
        for element in ElementTree.fromstring(page).iter()
        if element.tag.endswith("}text")
    ]
    assert {"7", "2", "1", "3", "$\\frac{", "<script>", "not found"} <= set(texts)
    assert "0" not in texts


def test_reliability_by_hand():
    """Of three predictions with scores around 0.65 two are right, of two around 0.25 none."""
    score = np.array([0.61, 0.65, 0.69, 0.22, 0.28])
    is_true = np.array([True, True, False, False, False])
    [axes] = figures.reliability(score, is_true).axes
    [dots] = axes.collections
    np.testing.assert_allclose(dots.get_offsets(), [[0.25, 0], [0.65, 2 / 3]])
    few, many = dots.get_sizes()
    assert few < many
    [dashed, _] = axes.lines
    assert list(dashed.get_xdata()) == list(dashed.get_ydata()) == [0, 1]


def test_the_dot_of_a_precision_recall_curve_is_at_the_score_to_cut_at(tmp_path):
    told = analysed(tmp_path)  # of six stems, three are found, with a score of 0.5
    [axes] = drawings.precision_recall(told, "stem").axes
    curve, dot = axes.lines
    assert (dot.get_xdata()[0], dot.get_ydata()[0]) == (0.5, 1)
    assert curve.get_ydata()[:51].tolist() == [1] * 51
    assert curve.get_ydata()[51:].tolist() == [0] * 50
