"""What is not there where exported models are used."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PYPROJECT = Path(__file__).parents[3] / "pyproject.toml"


@pytest.fixture(scope="session")
def modules_beside():
    """By extra of cvtk, what can be imported here, but not where `pip install "cvtk[EXTRA]"` was all."""
    tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")
    project = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]

    def modules(extra):
        brought = {"cvtk"}
        wanted = [*project["dependencies"], *project["optional-dependencies"][extra]]
        while wanted:
            need = Requirement(wanted.pop())
            name = canonicalize_name(need.name)
            if name not in brought:
                brought.add(name)
                needs = importlib.metadata.requires(name) or []
                wanted += [text for text in needs if applies(text, need.extras)]
        return [
            module
            for module, owners in importlib.metadata.packages_distributions().items()
            if brought.isdisjoint(map(canonicalize_name, owners))
        ]

    return modules


def applies(need, extras):
    """Whether a package that was asked for with some extras needs another one."""
    marker = Requirement(need).marker
    return marker is None or any(
        marker.evaluate({"extra": extra}) for extra in extras or [""]
    )
