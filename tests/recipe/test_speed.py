"""What makes a training on a CPU faster changes its numbers in their last digits at most."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip("torch", reason="needs PyTorch")
pytest.importorskip("mmdet", reason="needs MMDetection")

import torch
from mmdet.models.layers import ExpMomentumEMA

from cvtk.recipe.speed import (
    activate_out_of_place,
    average_at_once,
    convolve_row_by_row,
    multiply_kernels,
    speed_up_cpu,
)


@pytest.fixture(autouse=True)
def _denormals_as_they_were():
    yield
    torch.set_flush_denormal(False)


def network():
    torch.manual_seed(0)
    shared = torch.nn.Conv2d(4, 4, 1)  # as in the heads of RTMDet
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, bias=False),
        torch.nn.BatchNorm2d(8),
        torch.nn.Conv2d(8, 4, 3, stride=2),
        shared,
        shared,
    )


def training(update_buffers, kind=torch.optim.AdamW):
    """A network, its optimizer and its average, as MMEngine's runner has them."""
    model = network()
    average = ExpMomentumEMA(model, gamma=5, update_buffers=update_buffers)
    return SimpleNamespace(
        model=model,
        optim_wrapper=SimpleNamespace(optimizer=kind(model.parameters(), lr=0.01)),
        hooks=[SimpleNamespace(), SimpleNamespace(ema_model=average)],
    )


def step(runner, seed):
    images = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(seed))
    runner.optim_wrapper.optimizer.zero_grad()
    runner.model(images).square().mean().backward()
    runner.optim_wrapper.optimizer.step()
    runner.hooks[1].ema_model.update_parameters(runner.model)


def weights(runner):
    average = runner.hooks[1].ema_model.state_dict(prefix="average.")
    return {**runner.model.state_dict(), **average}


@pytest.mark.parametrize("update_buffers", [True, False])
def test_weights_and_their_average_are_the_same(update_buffers):
    plain, fast = training(update_buffers), training(update_buffers)
    speed_up_cpu(fast)
    for part in (fast.model, fast.hooks[1].ema_model.module):
        assert part[0].weight.is_contiguous(memory_format=torch.channels_last)
    by_rows = "forward" in vars(fast.model[3])
    assert by_rows == (torch.get_num_threads() == 1)
    for seed in range(4):
        step(plain, seed)
        step(fast, seed)
    expected, start = weights(plain), network().state_dict()
    for name in ("0.weight", "average.module.0.weight"):
        moved = expected[name] - start["0.weight"]
        assert moved.abs().mean() > 1e-3
    for name, value in weights(fast).items():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-6)


def test_an_average_moves_as_if_one_by_one():
    model = network()
    plain, fast = (ExpMomentumEMA(model, 0.1, 5, update_buffers=True) for _ in "ab")
    average_at_once(fast)
    for seed in range(4):
        torch.manual_seed(seed)
        for weight in model.state_dict().values():
            weight += torch.randn(weight.shape).to(weight.dtype)
        plain.update_parameters(model)
        fast.update_parameters(model)
    expected = plain.state_dict()
    for name, value in fast.state_dict().items():
        # The original MMDetection multiplies and adds, the maintained fork interpolates.
        torch.testing.assert_close(value, expected[name], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW])
def test_an_optimizer_takes_the_same_steps_at_once(kind):
    plain, fast = training(True, kind), training(True, kind)
    speed_up_cpu(fast)
    [group] = fast.optim_wrapper.optimizer.param_groups
    assert group["fused"]  # since PyTorch 2.4
    for seed in range(4):
        step(plain, seed)
        step(fast, seed)
    for name, value in weights(fast).items():
        torch.testing.assert_close(value, weights(plain)[name], rtol=1e-4, atol=1e-6)


def test_an_optimizer_that_cannot_stays_as_it_is():
    runner = training(True, torch.optim.RMSprop)
    speed_up_cpu(runner)
    assert "fused" not in runner.optim_wrapper.optimizer.param_groups[0]
    step(runner, 0)


@pytest.mark.parametrize(
    "kind", [torch.nn.SiLU, torch.nn.Hardswish, torch.nn.Mish, torch.nn.ReLU]
)
def test_activations_that_write_elsewhere_have_the_same_gradients(kind):
    def gradients(change):
        torch.manual_seed(0)
        part = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), kind(inplace=True))
        change(part)
        found = part(torch.randn(2, 3, 8, 8))
        found.square().sum().backward()
        return part[1].inplace, found, part[0].weight.grad

    in_place, *found = gradients(activate_out_of_place)
    assert in_place == (kind is torch.nn.ReLU)  # its gradient needs the result alone
    for ours, theirs in zip(found, gradients(lambda _: None)[1:], strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_convolutions_of_one_pixel_are_the_same_row_by_row(layout):
    def gradients(change):
        torch.manual_seed(0)
        convolution = torch.nn.Conv2d(6, 5, 1)
        images = torch.randn(3, 6, 7, 8).to(memory_format=layout).requires_grad_()
        change(convolution)
        found = convolution(images)
        found.square().sum().backward()
        return found, images.grad, convolution.weight.grad, convolution.bias.grad

    for found, expected in zip(
        gradients(convolve_row_by_row), gradients(lambda _: None), strict=True
    ):
        assert found.shape == expected.shape
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_other_convolutions_stay_as_they_are():
    others = [
        torch.nn.Conv2d(4, 4, 3),
        torch.nn.Conv2d(4, 4, 1, stride=2),
        torch.nn.Conv2d(4, 4, 1, padding=1),
        torch.nn.Conv2d(4, 4, 1, groups=2),
    ]
    convolve_row_by_row(torch.nn.ModuleList(others))
    assert not any("forward" in vars(convolution) for convolution in others)


def test_masks_are_those_of_kernels_and_so_are_the_gradients():
    from mmdet.models.dense_heads import RTMDetInsHead
    from mmengine.config import ConfigDict

    torch.manual_seed(0)
    head = RTMDetInsHead(
        num_classes=2,
        in_channels=32,
        feat_channels=32,
        anchor_generator=ConfigDict(
            type="mmdet.MlvlPointGenerator", offset=0, strides=[8, 16, 32]
        ),
        bbox_coder=ConfigDict(type="mmdet.DistancePointBBoxCoder"),
        loss_cls=ConfigDict(type="mmdet.QualityFocalLoss", use_sigmoid=True),
        loss_bbox=ConfigDict(type="mmdet.GIoULoss"),
        loss_mask=ConfigDict(type="mmdet.DiceLoss"),
    )
    features = torch.rand(head.num_prototypes, 12, 16, requires_grad=True)
    kernels = torch.randn(5, head.num_gen_params, requires_grad=True)
    priors = torch.tensor([[8.0, 16, 8, 8]]).repeat(5, 1)
    masks = head._mask_predict_by_feat_single(features, kernels, priors)
    expected = masks, *torch.autograd.grad(masks.sigmoid().sum(), (features, kernels))
    multiply_kernels(head)
    masks = head._mask_predict_by_feat_single(features, kernels, priors)
    found = masks, *torch.autograd.grad(masks.sigmoid().sum(), (features, kernels))
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    none = head._mask_predict_by_feat_single(features, kernels[:0], priors[:0])
    assert none.shape == (0, 12, 16)
