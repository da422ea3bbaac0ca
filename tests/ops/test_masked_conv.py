"""Masked convolution is the convolution where the mask is set, and 0 elsewhere."""

import pytest
import torch
from mmcv.ops import MaskedConv2d

pytestmark = pytest.mark.filterwarnings(
    "ignore:This overload of addmm is deprecated"
)  # mmcv's own call


@pytest.mark.parametrize(("kernel", "padding"), [(3, 1), ((3, 5), (1, 2)), (1, 0)])
def test_convolution_where_the_mask_is_set(kernel, padding):
    layer = MaskedConv2d(3, 4, kernel, padding=padding).double()
    x = torch.randn(1, 3, 6, 7, dtype=torch.float64)
    mask = (torch.rand(1, 6, 7) > 0.5).to(x)
    with torch.no_grad():
        assert torch.allclose(layer(x, mask), layer(x) * mask[:, None])


def test_empty_mask():
    layer = MaskedConv2d(3, 4, 3, padding=1)
    with torch.no_grad():
        assert not layer(torch.randn(1, 3, 6, 7), torch.zeros(1, 6, 7)).any()
