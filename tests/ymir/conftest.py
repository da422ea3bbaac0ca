"""A tree of the platform's, and an executor made for the tests."""

from __future__ import annotations

import pytest
from trees import Tree

from cvtk.ymir.create import create_executor


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path / "tree")


@pytest.fixture(scope="session")
def executor(tmp_path_factory):
    """The program of an executor."""
    folder = tmp_path_factory.mktemp("made") / "my executor"
    return create_executor(folder, "segm", "rtmdet-ins_tiny") / "executor.py"


@pytest.fixture
def read(tree, monkeypatch):
    """The task that a tree asks for."""
    from cvtk.ymir.task import read_environment, read_task

    def read(job):
        tree.write()
        monkeypatch.setenv("DEFAULT_ENV_FILE_PATH", str(tree.inn / "env.yaml"))
        environment = read_environment()
        environment.output["work_dir"].mkdir(parents=True, exist_ok=True)
        return read_task(environment, job)

    return read
