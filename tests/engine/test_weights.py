"""Weights are read without running code; those that do not fit are refused with a reason."""

from __future__ import annotations

import hashlib
import http.server
import os
import pickle
import socket
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs PyTorch")
pytest.importorskip("mmdet", reason="needs MMDetection")

import torch

from cvtk.engine.weights import (
    fetch_backbones,
    find_weights,
    pick_device,
    read_weights,
    start_weights,
)
from cvtk.errors import ModelError
from cvtk.recipe.classes import set_classes
from cvtk.recipe.start import set_start


class Bomb:
    """What a hostile checkpoint holds: unpickling it would make a folder."""

    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return os.mkdir, (self.target,)


def test_a_checkpoint_with_the_history_of_losses_is_read(tmp_path):
    from mmengine.logging import MessageHub

    hub = MessageHub.get_instance("test_weights")
    for loss in (3.0, np.float64(2.0), 1.0):
        hub.update_scalar("train/loss", loss)
    hub.update_info("epoch", 2)
    file = tmp_path / "epoch_1.pth"
    state = {"a": torch.ones(2)}
    torch.save(
        {"meta": {"epoch": 1}, "state_dict": state, "message_hub": hub.state_dict()},
        file,
    )
    with pytest.raises(pickle.UnpicklingError):
        torch.load(file, weights_only=True)  # or this test shows nothing
    weights = read_weights(file)
    assert torch.equal(weights["state_dict"]["a"], torch.ones(2))
    history = weights["message_hub"]["log_scalars"]["train/loss"]
    assert history.mean(3) == 2.0


def test_bare_weights_are_read(tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "a.pth")
    assert list(read_weights(tmp_path / "a.pth")["state_dict"]) == ["a"]


@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_code_in_weights_does_not_run(how, tmp_path):
    file, target = tmp_path / "evil.pth", tmp_path / "hacked"
    content = {"state_dict": {}, "meta": Bomb(target)}
    if how == "torch":
        torch.save(content, file)
    else:
        file.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(ModelError, match=r"evil\.pth was not loaded") as error:
        read_weights(file)
    assert "mkdir" in str(error.value), "it says what would have run"
    assert not target.exists()
    pickle.loads(pickle.dumps(content))
    assert target.exists(), "or this test shows nothing"


def test_who_is_trusted_may_run_code(tmp_path):
    file, target = tmp_path / "evil.pth", tmp_path / "made"
    torch.save({"state_dict": {}, "meta": Bomb(target)}, file)
    with pytest.raises(ModelError, match=r"mkdir.*--trust_weights"):
        read_weights(file)
    assert not target.exists()
    read_weights(file, trust=True)
    assert target.exists()


def test_getattr_reaches_nothing_but_the_history(tmp_path):
    class Reach:
        def __reduce__(self):
            return getattr, (np.ndarray, "tofile")

    torch.save({"state_dict": {}, "x": Reach()}, tmp_path / "evil.pth")
    with pytest.raises(ModelError, match="not loaded"):
        read_weights(tmp_path / "evil.pth")


@pytest.mark.parametrize("content", [b"", b"not weights", b"PK\x03\x04 cut off"])
def test_a_damaged_file_is_told(content, tmp_path):
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(ModelError, match=r"a\.pth was not loaded") as error:
        read_weights(tmp_path / "a.pth")
    assert "\n" not in str(error.value)


def test_a_truncated_checkpoint_is_told(tmp_path):
    file = tmp_path / "a.pth"
    torch.save({"state_dict": {"a": torch.ones(10000)}}, file)
    file.write_bytes(file.read_bytes()[:20000])
    with pytest.raises(ModelError, match=r"a\.pth was not loaded"):
        read_weights(file)


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(ModelError, match=r"none\.pth"):
        read_weights(tmp_path / "none.pth")


# Where training starts from


def config(name="rtmdet-ins_tiny_8xb32-300e_coco", classes=3):
    import mmdet
    from mmengine.config import Config

    configs = Path(mmdet.__file__).parent / ".mim" / "configs"
    (file,) = configs.rglob(f"{name}.py")
    cfg = Config.fromfile(file)
    set_classes(cfg._cfg_dict["model"], classes)
    set_start(cfg._cfg_dict["model"], "none")
    return cfg


def state(cfg):
    from mmdet.registry import MODELS
    from mmengine.registry import init_default_scope

    init_default_scope("mmdet")
    return MODELS.build(cfg.model).state_dict()


def start(cfg, weights):
    """Calls start_weights with the file of the architecture."""
    return read_weights(start_weights(cfg, Path(cfg.filename), str(weights)))[
        "state_dict"
    ]


def test_the_head_for_other_classes_is_left_out_and_told(tmp_path, messages):
    of_80 = state(config(classes=80))
    torch.save({"state_dict": of_80}, tmp_path / "coco.pth")
    cfg = config(classes=3)
    cfg.work_dir = str(tmp_path)
    taken = start(cfg, tmp_path / "coco.pth")
    new = of_80.keys() - taken.keys()
    assert new == {k for k in of_80 if ".rtm_cls." in k and "conv" not in k}
    assert all(torch.equal(taken[k], of_80[k]) for k in taken)
    (line,) = messages.messages
    assert "coco.pth" in line and "bbox_head.rtm_cls" in line


def test_weights_of_the_same_classes_are_taken_whole(tmp_path, messages):
    cfg = config()
    cfg.work_dir = str(tmp_path)
    own = state(cfg)
    torch.save(own, tmp_path / "mine.pth")
    assert start(cfg, tmp_path / "mine.pth").keys() == own.keys()
    assert "nothing" in messages.text


def test_weights_of_another_architecture_are_refused(tmp_path):
    cfg = config()
    cfg.work_dir = str(tmp_path)
    torch.save(state(config("retinanet_r18_fpn_1x_coco")), tmp_path / "other.pth")
    with pytest.raises(ModelError, match=r"other\.pth is of another") as error:
        start(cfg, tmp_path / "other.pth")
    text = str(error.value)
    assert "backbone.stem" in text, "it names parts that are missing"
    assert "--weights none" in text and "\n" not in text
    assert not (tmp_path / "start.weights").exists()


# A backbone that was trained on ImageNet


def backbone(checkpoint):
    from mmengine.config import Config

    start = {"type": "Pretrained", "checkpoint": str(checkpoint)}
    return Config({"model": {"backbone": {"type": "ResNet", "init_cfg": start}}})


def test_a_backbone_is_opened_as_safely_as_other_weights(tmp_path):
    file, target = tmp_path / "evil.pth", tmp_path / "hacked"
    torch.save({"state_dict": {}, "meta": Bomb(target)}, file)
    with pytest.raises(ModelError, match="mkdir"):
        fetch_backbones(backbone(file))
    assert not target.exists()


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("torchvision://resnet50", "resnet50-0676ba61.pth"),
        ("open-mmlab://msra/hrnetv2_w18", "hrnetv2_w18-00eb2006.pth"),
        ("https://example.org/swin-0123abcd.pth", "swin-0123abcd.pth"),
    ],
)
def test_what_was_downloaded_is_used(name, file, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    torch.save({"a": torch.ones(1)}, tmp_path / "checkpoints" / file)
    cfg = backbone(name)
    fetch_backbones(cfg)
    chosen = cfg.model.backbone.init_cfg.checkpoint
    assert chosen == str(tmp_path / "checkpoints" / file)


def test_without_network_the_address_of_the_backbone_is_told(refusing, tmp_path):
    with pytest.raises(ModelError) as error:
        fetch_backbones(backbone(refusing))
    assert refusing in str(error.value)


# Downloads, from an address of this machine that nobody listens at


@pytest.fixture
def refusing(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return f"http://127.0.0.1:{port}/tiny-0123abcd.pth"


def refused(refusing, config, weights, tmp_path):
    with pytest.raises(ModelError) as error:
        find_weights(config, weights)
    text = str(error.value)
    assert refusing in text and "\n" not in text
    assert "--weights FILE" in text and "--weights none" in text
    assert not list(tmp_path.rglob("*.pth*")), "nothing half is left"


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A folder that a server on this machine gives out, its address, and what was asked for."""
    asked, folder = [], tmp_path / "served"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def log_message(self, form, *args):
            asked.append(args[0])

    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "cache"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_weights_are_downloaded_once_and_shown_to_be_whole(served, tmp_path, capfd):
    folder, address, asked = served
    torch.save({"a": torch.ones(3)}, folder / "new.pth")
    content = (folder / "new.pth").read_bytes()
    name = f"tiny-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    (folder / name).write_bytes(content)
    file = find_weights(tmp_path / "x.py", f"{address}/{name}")
    assert Path(file).read_bytes() == content
    assert "100%" in capfd.readouterr().err, "a progress bar"
    assert find_weights(tmp_path / "x.py", f"{address}/{name}") == file
    assert len(asked) == 1


def test_a_download_that_is_not_what_its_name_says_is_refused(served, tmp_path):
    folder, address, _ = served
    (folder / "tiny-0123abcd.pth").write_bytes(b"something else")
    with pytest.raises(ModelError, match="hash"):
        find_weights(tmp_path / "x.py", f"{address}/tiny-0123abcd.pth")
    assert not list((tmp_path / "cache").rglob("*.pth*")), "nothing half is left"


def test_without_network_the_address_is_told(refusing, tmp_path):
    refused(refusing, tmp_path / "x.py", refusing, tmp_path)


def test_the_weights_of_the_catalogue_are_told_by_its_index(refusing, tmp_path):
    index = (
        f"Models:\n- {{Name: tiny, Config: configs/a/tiny.py, Weights: '{refusing}'}}\n"
    )
    (tmp_path / "metafile.yml").write_text(index)
    refused(refusing, tmp_path / "tiny.py", "coco", tmp_path)


def test_a_model_without_coco_weights_says_so(tmp_path):
    with pytest.raises(ModelError, match=r"mine.*--weights none"):
        find_weights(tmp_path / "mine.py", "coco")


def test_what_was_downloaded_is_not_downloaded_again(refusing, tmp_path):
    file = tmp_path / "cache" / "hub" / "checkpoints" / "tiny-0123abcd.pth"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"here")
    assert find_weights(tmp_path / "x.py", refusing) == str(file)


def test_a_file_is_itself(tmp_path):
    assert find_weights(tmp_path / "x.py", "my weights.pth") == "my weights.pth"


# Devices


def test_auto_is_the_gpu_where_there_is_one():
    assert pick_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    assert pick_device("cpu") == "cpu"


@pytest.mark.parametrize("device", ["tpu", "cuda:x", "gpu", ""])
def test_an_unknown_device_is_named(device):
    with pytest.raises(ModelError, match=f"'{device}'.*cvtk doctor"):
        pick_device(device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_here_is_named():
    with pytest.raises(ModelError, match="cuda:0"):
        pick_device("cuda:0")


def test_no_warning_is_left_behind():
    assert "torch" in sys.modules  # PyTorch's list of safe types is as it was
    allowed = getattr(torch.serialization, "get_safe_globals", list)()
    assert not any("HistoryBuffer" in str(kind) for kind in allowed)
