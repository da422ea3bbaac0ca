"""Weights are read without running code; whatever else a file holds ends in one line."""

from __future__ import annotations

import os
import pickle
import random
import subprocess
import sys
import tarfile
import zipfile

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs PyTorch")
pytest.importorskip("mmdet", reason="needs MMDetection")

import torch

from cvtk.engine.weights import checked_loading, load_file, read_weights
from cvtk.errors import CvtkError, FileError, ModelError

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2)}


@pytest.fixture
def saved(tmp_path):
    """Saves anything as a file of PyTorch."""

    def save(content, **options):
        torch.save(content, tmp_path / "a.pth", **options)
        return tmp_path / "a.pth"

    return save


def refused(file, match, kind=ModelError):
    with pytest.raises(kind, match=match) as error:
        read_weights(file)
    text = str(error.value)
    assert str(file) in text and "\n" not in text and len(text) < 500
    return text


# What is read


def test_a_checkpoint_with_the_history_of_losses_is_read(saved):
    from mmengine.logging import MessageHub

    hub = MessageHub.get_instance("test_weights")
    for loss in (3.0, np.float64(2.0), 1.0):
        hub.update_scalar("train/loss", loss)
    hub.update_info("epoch", 2)
    file = saved(
        {"meta": {"epoch": 1}, "state_dict": STATE, "message_hub": hub.state_dict()}
    )
    with pytest.raises(pickle.UnpicklingError):
        torch.load(file, weights_only=True)  # or this test shows nothing
    weights = read_weights(file)
    assert torch.equal(weights["state_dict"]["a.weight"], STATE["a.weight"])
    assert weights["meta"] == {"epoch": 1}
    assert weights["message_hub"]["log_scalars"]["train/loss"].mean(3) == 2.0


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before 1.6"])
@pytest.mark.parametrize("under", [None, "state_dict", "model"])
def test_weights_are_read_in_every_form(under, zipped, saved):
    content = {under: STATE} if under else STATE
    file = saved(content, _use_new_zipfile_serialization=zipped)
    found = read_weights(file)["state_dict"]
    assert {name: value.tolist() for name, value in found.items()} == {
        name: value.tolist() for name, value in STATE.items()
    }


def test_the_versions_of_layers_are_kept(saved):
    state = torch.nn.BatchNorm2d(2).state_dict()
    assert read_weights(saved(state))["state_dict"]._metadata == state._metadata


def test_shared_tensors_are_read(saved):
    shared = torch.ones(3)
    state = read_weights(saved({"a": shared, "b": shared, "c": shared[:2]}))[
        "state_dict"
    ]
    assert state["c"].tolist() == [1, 1]


# What would run code


@pytest.mark.parametrize("how", ["torch", "torch before 1.6", "pickle"])
def test_code_in_weights_does_not_run(how, saved, bomb, tmp_path):
    trap, target = bomb
    content = {"state_dict": {}, "meta": trap}
    if how == "pickle":
        file = tmp_path / "a.pth"
        file.write_bytes(pickle.dumps(content, protocol=2))
    else:
        file = saved(content, _use_new_zipfile_serialization=how == "torch")
    text = refused(file, r"a\.pth was not loaded")
    assert "mkdir" in text and "trust_weights=True" in text, (
        "it says what would have run"
    )
    assert not target.exists()
    pickle.loads(pickle.dumps(content))
    assert target.exists(), "or this test shows nothing"


def test_who_is_trusted_may_run_code(saved, bomb):
    trap, target = bomb
    file = saved({"state_dict": STATE, "meta": trap})
    assert read_weights(file, trust=True)["meta"] is None
    assert target.exists()


class Call:
    """Unpickles to what a function returns."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call[0], self.call[1:]


@pytest.mark.parametrize("owner", [np.ndarray, dict, torch.Tensor])
def test_getattr_reaches_nothing_but_the_history(owner, saved):
    refused(
        saved({"state_dict": STATE, "x": Call(getattr, owner, "__init__")}),
        "not loaded",
    )


def test_the_list_of_safe_types_is_as_it_was(saved):
    read_weights(saved(STATE))
    allowed = getattr(torch.serialization, "get_safe_globals", list)()
    assert not any("HistoryBuffer" in str(kind) for kind in allowed)


# What is no file of weights

CONTENT = {
    "a list": [1, 2],
    "a text": "weights",
    "a tensor": torch.ones(3),
    "None": None,
    "a number": 7,
    "nothing": {},
    "an empty state_dict": {"state_dict": {}},
    "a list as state_dict": {"state_dict": [torch.ones(1)]},
    "None as state_dict": {"state_dict": None},
    "texts": {"state_dict": {"a": "b"}},
    "numbers": {"state_dict": {"a": 1.0}},
    "no names": {"state_dict": {1: torch.ones(1)}},
    "a dict of dicts": {"state_dict": {"a": {"b": torch.ones(1)}}},
    "an odd name": {"state_dict": {"a\x1b[2J\n": None}},
    "a meta tensor": {"state_dict": {"a": torch.ones(1, device="meta")}},
    "a sparse tensor": {"state_dict": {"a": torch.ones(2, 2).to_sparse()}},
    "an odd name of a meta tensor": {"a\n\x1b[2J": torch.ones(1, device="meta")},
    "an optimizer alone": {"optimizer": {"state": {}}, "epoch": 3},
}


@pytest.mark.parametrize("name", CONTENT)
def test_what_is_no_weights_is_told(name, saved):
    text = refused(saved(CONTENT[name]), r"a\.pth holds no weights")
    assert "\x1b" not in text


@pytest.mark.filterwarnings("ignore")  # PyTorch will leave such tensors behind
def test_a_quantized_tensor_is_told(saved):
    tensor = torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)
    refused(saved({"a": tensor}), "without plain numbers")


def test_versions_of_layers_that_are_none_are_told(saved):
    state = torch.nn.BatchNorm2d(2).state_dict()
    state._metadata = [1]
    refused(saved(state), "versions")


DAMAGED = {
    "empty": b"",
    "text": b"not weights",
    "HTML": b"<!DOCTYPE html><html>404</html>",
    "the start of a zip": b"PK\x03\x04 cut off",
    "an empty zip": b"PK\x05\x06" + bytes(18),
    "a pickle that pops nothing": pickle.PROTO + b"\x02" + b"0.",
    "a pickle of a text that is not UTF-8": b"\x80\x02X\x01\x00\x00\x00\xff.",
    "a pickle without end": b"\x80\x02}q\x00",
    "zeros": bytes(1000),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_told(name, tmp_path):
    (tmp_path / "a.pth").write_bytes(DAMAGED[name])
    refused(tmp_path / "a.pth", r"a\.pth was not loaded")


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before 1.6"])
def test_a_file_that_is_cut_off_is_told(zipped, saved):
    content = saved(STATE, _use_new_zipfile_serialization=zipped).read_bytes()
    for length in range(0, len(content) - 70, 97):
        file = saved(STATE)
        file.write_bytes(content[:length])
        refused(file, "not loaded")


def test_no_damage_ends_in_another_error(saved):
    # Bytes that are changed at random: it is read, or one line is said. Nothing else happens.
    generator = random.Random(1)
    told = 0
    for number in range(300):
        file = saved(
            {"state_dict": STATE, "meta": {}},
            _use_new_zipfile_serialization=number % 2 == 0,
        )
        content = bytearray(file.read_bytes())
        for _ in range(generator.choice([1, 5, 50])):
            content[generator.randrange(len(content))] = generator.randrange(256)
        file.write_bytes(content)
        try:
            read_weights(file)
        except CvtkError as error:
            told += 1
            assert "\n" not in str(error)
    assert told > 100


@pytest.mark.parametrize("packed", ["a zip of texts", "a tar", "TorchScript"])
def test_other_formats_are_told(packed, tmp_path):
    file = tmp_path / "a.pth"
    (tmp_path / "a.txt").write_text("hello")
    if packed == "a tar":
        with tarfile.open(file, "w") as archive:
            archive.add(tmp_path / "a.txt", "storages")
    elif packed == "TorchScript":
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(file))
    else:
        with zipfile.ZipFile(file, "w") as archive:
            archive.write(tmp_path / "a.txt")
    refused(file, "not loaded")


def test_missing_weights_are_named(tmp_path):
    refused(tmp_path / "none.pth", r"no weights at .*none\.pth", FileError)
    refused(tmp_path / ("a" * 300), "cannot be read", FileError)
    refused(
        "a\0.pth".replace("\0", "") + "/b.pth",
        "no weights at|cannot be read",
        FileError,
    )


def test_a_folder_is_told(tmp_path):
    refused(tmp_path, "is a folder", FileError)


def test_a_pipe_or_device_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.pth")
    refused(tmp_path / "a.pth", "a pipe or a device", FileError)
    (tmp_path / "zero.pth").symlink_to("/dev/zero")
    refused(tmp_path / "zero.pth", "a pipe or a device", FileError)


# What would take all memory

MEMORY = """
import resource, sys
from cvtk.errors import ModelError
from cvtk.engine.weights import read_weights
import torch, mmengine.logging
used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_weights(sys.argv[1])
except ModelError as error:
    print("told")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used) // 1024)
"""


def megabytes_to_refuse(file):
    """Reads a file in a process of its own, which must refuse it; the most memory that took."""
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(file)], capture_output=True, text=True, timeout=120
    )  # fmt: skip
    assert done.stdout.startswith("told"), done.stdout + done.stderr
    return int(done.stdout.split()[1])


def repacked(file, target, change):
    """Copies a zip, entry by entry, with a change of what each holds."""
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            content = change(entry, old.read(entry))
            new.writestr(entry, content, entry.compress_type)
    return target


def test_a_zip_bomb_is_refused_before_it_is_opened(saved, tmp_path):
    # 300 MB of zeros take 300 kB when they are compressed.
    file = saved({"a": torch.zeros(75_000_000)})

    def compress(entry, content):
        entry.compress_type = zipfile.ZIP_DEFLATED
        return content

    packed = repacked(file, tmp_path / "packed.pth", compress)
    assert packed.stat().st_size < 1_000_000
    assert megabytes_to_refuse(packed) < 100


def test_a_zip_that_is_only_repacked_is_still_read(saved, tmp_path):
    same = repacked(saved(STATE), tmp_path / "same.pth", lambda entry, content: content)
    assert read_weights(same)["state_dict"].keys() == STATE.keys()


def test_entries_that_share_their_bytes_are_refused(saved, tmp_path):
    # Each of the names in the directory leads to the same bytes.
    file = saved({"a": torch.zeros(1000), "b": torch.ones(1000)})
    with zipfile.ZipFile(file) as archive:
        one, two = (e for e in archive.infolist() if "/data/" in e.filename)
        old, new = one.header_offset, two.header_offset
    content = file.read_bytes()
    directory = content.rindex(b"PK\x01\x02", 0, content.rindex(b"data/1"))
    assert content[directory + 42 : directory + 46] == new.to_bytes(4, "little")
    file.write_bytes(
        content[: directory + 42]
        + old.to_bytes(4, "little")
        + content[directory + 46 :]
    )
    refused(file, "not loaded")


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before 1.6"])
def test_an_array_of_bytes_that_fills_the_memory_is_refused(zipped, saved):
    content = {"state_dict": STATE, "x": Call(bytearray, 3 * 10**8)}
    file = saved(content, _use_new_zipfile_serialization=zipped)
    assert megabytes_to_refuse(file) < 100


# MMEngine's own ways to open weights


@pytest.fixture
def evil(saved, bomb):
    trap, target = bomb
    return str(saved({"state_dict": STATE, "meta": trap})), target


def test_mmengine_opens_files_by_our_reader(evil):
    from mmengine.runner.checkpoint import load_checkpoint

    file, target = evil
    network = torch.nn.Linear(3, 2)
    with checked_loading(load_file), pytest.raises(ModelError, match="mkdir"):
        load_checkpoint(network, file)
    assert not target.exists()
    load_checkpoint(network, file)
    assert target.exists(), "or this test shows nothing"


def test_a_part_that_begins_with_a_file_opens_it_by_our_reader(evil):
    from mmengine.model import BaseModule

    file, target = evil
    part = BaseModule(init_cfg={"type": "Pretrained", "checkpoint": file})
    with checked_loading(load_file), pytest.raises(ModelError, match="mkdir"):
        part.init_weights()
    assert not target.exists()


@pytest.mark.parametrize(
    "address",
    ["https://127.0.0.1:1/a.pth", "torchvision://resnet50", "s3://a", "pavi://a"],
)
def test_no_other_loader_of_mmengine_is_asked(address):
    from mmengine.runner import CheckpointLoader

    asked = []
    with checked_loading(asked.append):
        CheckpointLoader.load_checkpoint(address)
    assert asked == [address]
    assert len(CheckpointLoader._schemes) > 3, "they are back"
