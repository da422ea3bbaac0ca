"""Executes docs/notebook.ipynb anew and keeps its outputs: `python docs/notebook.py`, in about five minutes.

Do that after a change of what the notebook shows. `tests/test_notebook.py` executes it with fewer images and epochs.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FILE = Path(__file__).with_name("notebook.ipynb")


def execute(notebook: Any, folder: str | Path) -> Any:
    """Executes a notebook in a folder; returns it with its outputs.

    Raises:
        CellExecutionError: A cell fails.
    """
    client = NotebookClient(
        notebook,
        timeout=1800,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
    )
    return client.execute()


def main() -> None:
    """Executes the notebook in an empty folder, and writes it."""
    notebook = nbformat.read(FILE, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        executed = execute(notebook, folder)
    executed.metadata.language_info = {"name": "python"}
    nbformat.write(executed, FILE)


if __name__ == "__main__":
    main()
