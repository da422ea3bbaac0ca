"""A device that is not here is named, not tried."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs PyTorch")

import torch

from cvtk.engine.devices import pick_device
from cvtk.errors import ModelError


def test_auto_is_the_gpu_where_there_is_one():
    assert pick_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    assert pick_device("cpu") == "cpu"


@pytest.mark.parametrize("device", ["tpu", "cuda:x", "cuda:", "cuda:²", "gpu", ""])
def test_an_unknown_device_is_named(device):
    with pytest.raises(ModelError, match=f"'{device}'.*cvtk doctor"):
        pick_device(device)


@pytest.mark.parametrize("device", ["cuda:7", "cuda:999", "cuda:99999999999"])
def test_a_gpu_that_is_not_here_is_named(device):
    with pytest.raises(ModelError, match=f"'{device}'") as error:
        pick_device(device)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("gpus", [1, 2])
def test_the_gpus_that_are_here_are_taken(gpus, monkeypatch):
    # The one thing that this machine may lack is pretended: how many GPUs PyTorch sees.
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert pick_device("cuda") == "cuda"
    assert pick_device(f"cuda:{gpus - 1}") == f"cuda:{gpus - 1}"
    with pytest.raises(ModelError, match=f"cuda:{gpus}"):
        pick_device(f"cuda:{gpus}")


def test_what_is_missing_for_apples_gpu_is_said(monkeypatch):
    # What this machine may lack is pretended: which build of PyTorch this is, and what it sees.
    mps = torch.backends.mps
    monkeypatch.setattr(mps, "is_available", lambda: False)
    monkeypatch.setattr(mps, "is_built", lambda: False)
    with pytest.raises(ModelError, match=r"mps needs a Mac and PyTorch's build for it"):
        pick_device("mps")
    monkeypatch.setattr(mps, "is_built", lambda: True)
    with pytest.raises(ModelError, match=r"mps needs macOS 12\.3"):
        pick_device("mps")
    monkeypatch.setattr(mps, "is_available", lambda: True)
    assert pick_device("mps") == "mps"
