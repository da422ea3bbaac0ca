"""The notebook runs from top to bottom, and shows what it promises. It is executed with few images and one epoch.

A kernel is a process of its own, which sees the real displays and progress bars.
"""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

pytest.importorskip("mmdet", reason="needs MMDetection")
nbformat = pytest.importorskip("nbformat", reason="needs nbformat")
pytest.importorskip("nbclient", reason="needs nbclient")
pytest.importorskip("ipykernel", reason="needs ipykernel")

DOCS = Path(__file__).parents[1] / "docs"
FEW = "IMAGES = (4, 3, 3)\nEPOCHS = 1"


def shown(notebook, kind):
    """All that the cells show of a kind, by the cell's number among those with code."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return {
        number: "".join(output["data"][kind])
        for number, cell in enumerate(cells)
        for output in cell.outputs
        if kind in output.get("data", {})
    }


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    notebook = nbformat.read(DOCS / "notebook.ipynb", as_version=4)
    [parameters] = [
        cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])
    ]
    parameters.source = FEW
    execute = runpy.run_path(str(DOCS / "notebook.py"))["execute"]
    return execute(notebook, tmp_path_factory.mktemp("notebook"))


@pytest.mark.train
def test_it_runs_and_shows_rich_displays(executed):
    pages = " ".join(shown(executed, "text/html").values())
    assert "4 images" in pages, "the data set"
    assert "95% intervals" in pages, "the evaluation"
    assert "on these 3 images" in pages, "the comparison"
    assert len(shown(executed, "image/png")) == 2, "a result and a figure"


@pytest.mark.train
def test_progress_is_an_element_of_the_page(executed):
    pages = [
        output["data"]["text/html"]
        for cell in executed.cells
        for output in cell.get("outputs", [])
        if "text/html" in output.get("data", {})
    ]
    bars = [page for page in pages if page.startswith("<progress")]
    assert any("epoch 1/1" in bar for bar in bars), "of the training"
    assert any("3/3" in bar for bar in bars), "of an evaluation"


def test_the_outputs_that_are_kept_are_complete_and_small():
    notebook = nbformat.read(DOCS / "notebook.ipynb", as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == [*range(1, len(code) + 1)]
    assert all(o.output_type != "error" for cell in code for o in cell.outputs)
    assert (DOCS / "notebook.ipynb").stat().st_size < 500_000


def test_a_model_is_better_than_itself_trained_for_a_tenth():
    kept = nbformat.read(DOCS / "notebook.ipynb", as_version=4)
    [said] = [p for p in shown(kept, "text/html").values() if "shorter.pth on" in p]
    assert "outputs/fruit.pth is better than outputs/shorter.pth on these 30" in said
