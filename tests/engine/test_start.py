"""Where a training starts from: the parts that fit are taken, and what does not fit at all is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs PyTorch")
pytest.importorskip("mmdet", reason="needs MMDetection")

import torch
from configurations import original
from mmengine.config import Config

from cvtk.engine.start import (
    fetch_backbones,
    find_weights,
    load_named,
    start_weights,
)
from cvtk.engine.weights import read_weights
from cvtk.errors import FileError, ModelError
from cvtk.recipe.classes import set_classes
from cvtk.recipe.start import set_start

RTMDET = "rtmdet-ins_tiny_8xb32-300e_coco"
CONFIG = Path(
    "configs/rtmdet/rtmdet.py"
)  # of the architecture; its catalogue is beside it


def network(classes=3, name=RTMDET):
    """An architecture's configuration for so many classes, and its weights."""
    from mmdet.registry import MODELS
    from mmengine.registry import init_default_scope

    model = original(name)["model"]
    set_classes(model, classes)
    set_start(model, "none")
    cfg = Config({"model": model})
    init_default_scope("mmdet")
    return cfg, MODELS.build(cfg.model).state_dict()


@pytest.fixture(scope="module")
def three():
    return network(3)


@pytest.fixture
def start(three, tmp_path, caplog):
    """Starts the network for three classes from weights; what it takes, and what it says."""

    def call(state, file="a.pth"):
        torch.save(state, tmp_path / file)
        cfg = Config({"model": three[0].model, "work_dir": str(tmp_path / "workspace")})
        output = start_weights(cfg, CONFIG, str(tmp_path / file))
        assert Path(output).parent == tmp_path / "workspace"
        return read_weights(output)["state_dict"], caplog.messages

    return call


def test_the_head_for_other_classes_is_left_out_and_told(start):
    _, of_80 = network(80)
    taken, (line,) = start({"state_dict": of_80})
    new = of_80.keys() - taken.keys()
    assert new == {k for k in of_80 if ".rtm_cls." in k and "conv" not in k}
    assert all(torch.equal(taken[k], of_80[k]) for k in taken)
    assert "a.pth" in line and "bbox_head.rtm_cls" in line


def test_weights_of_the_same_classes_are_taken_whole(start, three):
    taken, (line,) = start(three[1])
    assert taken.keys() == three[1].keys()
    assert "nothing" in line


def test_the_versions_of_layers_are_kept(start, three):
    # Without them, heads such as VFNet's would rename their own weights as they are loaded.
    taken, _ = start(three[1])
    assert taken._metadata == three[1]._metadata


def test_weights_of_another_architecture_are_refused(start, tmp_path):
    _, other = network(3, "retinanet_r18_fpn_1x_coco")
    with pytest.raises(ModelError, match=r"a\.pth is of another") as error:
        start(other)
    text = str(error.value)
    assert "backbone.stem" in text, "it names parts that are missing"
    assert "--weights none" in text and "\n" not in text
    assert not (tmp_path / "workspace").exists()


def test_a_tensor_that_only_claims_its_size_is_not_taken(start, three):
    # One number, said to be a tensor of 10^12: it must neither be copied nor saved.
    name = next(iter(three[1]))
    huge = torch.zeros(1).expand(10**6, 10**6)
    taken, _ = start({**three[1], name: huge})
    assert name not in taken


@pytest.mark.parametrize("content", [[1], "text", None, {"a": torch.ones(1)}])
def test_what_is_no_weights_of_it_is_refused(content, start):
    with pytest.raises(ModelError) as error:
        start(content)
    assert "\n" not in str(error.value)


def test_missing_weights_are_named(three, tmp_path):
    cfg = Config({"model": three[0].model, "work_dir": str(tmp_path)})
    with pytest.raises(FileError, match=r"none\.pth"):
        start_weights(cfg, CONFIG, str(tmp_path / "none.pth"))


# Names of weights


def test_a_file_is_itself():
    assert find_weights(CONFIG, "my weights.pth") == "my weights.pth"


def test_the_catalogue_knows_the_weights_of_coco(server, tmp_path):
    server.content["/tiny.pth"] = b"weights"
    index = (
        "Models:\n- {Name: other, Config: configs/a/other.py, Weights: 'http://x'}\n"
    )
    index += f"- {{Name: tiny, Config: configs/a/tiny.py, Weights: '{server.address}/tiny.pth'}}\n"
    (tmp_path / "metafile.yml").write_text(index)
    file = find_weights(tmp_path / "tiny.py", "coco")
    assert Path(file).read_bytes() == b"weights"


@pytest.mark.parametrize("index", [None, "Models: []", "Models:\n- {Config: mine.py}"])
def test_a_model_without_coco_weights_says_so(index, tmp_path):
    if index:
        (tmp_path / "metafile.yml").write_text(index)
    with pytest.raises(ModelError, match=r"mine.*--weights none"):
        find_weights(tmp_path / "mine.py", "coco")


# A backbone that was trained on ImageNet


def backbone(checkpoint):
    start = {"type": "Pretrained", "checkpoint": str(checkpoint)}
    return Config({"model": {"backbone": {"type": "ResNet", "init_cfg": start}}})


def test_a_backbone_is_opened_as_safely_as_other_weights(bomb, tmp_path):
    trap, target = bomb
    torch.save({"state_dict": {}, "meta": trap}, tmp_path / "evil.pth")
    with pytest.raises(ModelError, match="mkdir"):
        fetch_backbones(backbone(tmp_path / "evil.pth"))
    assert not target.exists()


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_a_backbone_is_downloaded_and_put_in_its_place(key, server):
    torch.save({key: {"a": torch.ones(1)}}, file := Path(torch.hub.get_dir() + ".pth"))
    server.content["/swin.pth"] = file.read_bytes()
    cfg = backbone(f"{server.address}/swin.pth")
    fetch_backbones(cfg)
    chosen = cfg.model.backbone.init_cfg.checkpoint
    assert Path(chosen).read_bytes() == server.content["/swin.pth"]
    assert load_named(f"{server.address}/swin.pth").keys() == {key}
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "name",
    [
        "torchvision://nosuch",
        "open-mmlab://nosuch",
        "s3://a/b.pth",
        "no/such.pth",
        "None",
    ],
)
def test_a_backbone_that_is_not_known_is_named(name):
    with pytest.raises((ModelError, FileError)) as error:
        fetch_backbones(backbone(name))
    assert name in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("content", [[1], {"a": 1}, "text"])
def test_a_backbone_without_weights_is_refused(content, tmp_path):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(ModelError, match="holds no weights"):
        fetch_backbones(backbone(tmp_path / "a.pth"))
