"""The operators are tested through mmcv.ops, as programs use them; without mmcv there is nothing to test."""

import pytest

pytest.importorskip("mmcv")
torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)
