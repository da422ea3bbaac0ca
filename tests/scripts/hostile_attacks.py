"""What users, other tools and full disks do to the commands of a script: each attack has a name.

An attack changes the folder of a `Case`, or its options. `SOFT` are those that a vanilla script leaves to
MMDetection in training and evaluation, as its opening comment says.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import random
import re
import resource
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Attack = Callable[["Case"], None]
ATTACKS: dict[str, Attack] = {}
# By command, the names of the attacks that make sense there.
OF: dict[str, list[str]] = {"train": [], "evaluate": [], "inference": []}
SOFT: set[str] = set()
ALL = ("train", "evaluate", "inference")


def is_possible(mode: str, command: str, name: str) -> bool:
    """Whether an attack can be tried in a process that must go on.

    The vanilla script does not check masks, as its head says: pycocotools, which is C, may end the process.
    """
    is_mask = re.search("RLE|polygon|mask", name) is not None
    return not (mode == "vanilla" and command != "inference" and is_mask)


@dataclass
class Case:
    """One run of a script, about to begin.

    Attributes:
        folder: Where it runs: `data` and `weights` are the user's, `out` is for results.
        command: "train", "evaluate" or "inference".
        options: Of the command line; None for a flag.
        rng: For what an attack draws.
        extra: More arguments, e.g. of `--set`.
        around: What is around the run, e.g. a full disk.
    """

    folder: Path
    command: str
    options: dict[str, str | None]
    rng: random.Random
    extra: list[str] = field(default_factory=list)
    around: contextlib.AbstractContextManager[Any] = field(
        default_factory=contextlib.nullcontext
    )

    @property
    def json(self) -> Path:
        """The annotations that the command reads first."""
        return self.folder / "data" / "all.json"

    @property
    def image(self) -> Path:
        """The image that is spoiled."""
        return self.folder / "data" / "images" / "b.png"

    def remove_image(self) -> None:
        """Removes the image, or what another attack has put in its place."""
        if self.image.is_dir():
            shutil.rmtree(self.image)
        self.image.unlink(missing_ok=True)

    @property
    def weights(self) -> Path:
        """The weights that the command opens."""
        return self.folder / "weights" / "model.pth"

    def use_weights(self) -> None:
        """Lets a training start from the weights too, where the others read them anyway."""
        if self.command == "train":
            self.options["weights"] = "weights/model.pth"

    def use_json(self) -> None:
        """Lets inference read the COCO file, as the others do."""
        reads_json = str(self.options.get("data")).endswith(".json")
        if self.command == "inference" and not reads_json:
            self.options["data"] = "data/all.json"


def attack(name: str, *commands: str, soft: bool = False) -> Callable[[Attack], Attack]:
    """Puts a function among the attacks."""

    def add(function: Attack) -> Attack:
        assert name not in ATTACKS, name
        ATTACKS[name] = function
        for command in commands or ALL:
            OF[command].append(name)
        if soft:
            SOFT.add(name)
        return function

    return add


# --- options --------------------------------------------------------------------------

VALUES: dict[str, tuple[tuple[str, ...], list[str]]] = {
    "epoch": (("train",), ["0", "-1", "1.5", "", "x", "99999999999999999999"]),
    "batch_size": (("train",), ["0", "-1", "auto", "some", "1", "3", "5000", "1e3"]),
    "num_workers": (("train",), ["-1", "x", "300", "nan"]),
    "lr": (("train",), ["nan", "inf", "-1", "0", "1e400", "1e-9", "1000", "é"]),
    "image_size": (("train",), ["0", "1", "-5", "100000", "32", "33", "64.5"]),
    "accumulate": (("train",), ["0", "-1", "7", "x"]),
    "seed": (("train",), ["-1", "5", "99999999999999999999", "x"]),
    "early_stop": (("train",), ["0", "1", "-3"]),
    "weights": (
        ("train",),
        ["", "coco", "imagenet", "none.pth", "data", "http://", "http://127.0.0.1:9/a.pth",
         "file:///etc/passwd", "ftp://a/b", "x" * 300, "data/label.txt", "\x1b[31m.pth", "no://where"],
    ),
    "device": (ALL, ["tpu", "cuda:7", "cuda:x", "", "CPU", "cpu:0", "meta", "mps", "auto"]),
    "score": (("inference",), ["nan", "2", "-1", "0", "1", "x", "", "inf"]),
    "label": (
        ALL,
        ["", "none.txt", "data", "data/images/a.png", "data/odd labels.txt", "data/empty.txt",
         "data/twice.txt", "data/pipe", "/dev/zero", "x" * 300, "data/latin.txt"],
    ),
    "train": (
        ("train",),
        ["", "none.json", "data", "data/images", "data/pipe", "data/images/a.png", "/dev/zero",
         "data/label.txt", "data/zero.json", "x" * 300, "data/all.json/more"],
    ),
    "valid": (("train",), ["data/all.json", "none.json", "data", "data/pipe", "data/label.txt"]),
    "test": (("train",), ["data/all.json", "none.json", "data", "data/pipe", "data/label.txt"]),
    "data": (
        ("evaluate", "inference"),
        ["", "none.json", "none.jpg", "none", "data", "data/pipe", "data/pipe.json", "data/pipe.png",
         "/dev/zero", "data/zero.json", "data/zero.png", "data/zero.txt", "data/label.txt", "x" * 300,
         "data/folder.json", "data/folder.txt", "data/folder.png", "data/empty", "data/binary.txt",
         "data/list.txt", "data/empty.txt", "data/images/a.png", "data/images", "data/all.json/more",
         "data/images/a.png/more", "weights/model.pth", "data/pipes.txt", "data/a\0b.png"],
    ),
    "output": (
        ("evaluate", "inference"),
        ["", "data", "data/images", "data/label.txt", "data/label.txt/more", "/proc/none/more", "x" * 300,
         "weights", "out", "results", "out/mine.txt", "data/link"],
    ),
    "output_weights": (
        ("train",),
        ["", ".pth", "a", "a.bin", "data/label.txt/a.pth", "data/label.pth", "/proc/none/a.pth", "out/a.PTH",
         "weights/model.pth", "out/result.pth", "folder.pth", "data.pth", "x" * 300 + ".pth", "..pth",
         "out/mine.pth", "data/all.pth", "out/é ü.pth", "data/link/a.pth"],
    ),
    "model_weights": (
        ("evaluate", "inference"),
        ["", "none.pth", "data", "weights/model.py", "weights", "data/pipe", "/dev/zero", "x" * 300,
         "data/label.txt", "data/images/a.png", "weights/alone.pth"],
    ),
}  # fmt: skip


def _option(name: str, value: str) -> Attack:
    def change(case: Case) -> None:
        case.options[name] = value

    return change


for _name, (_commands, _values) in VALUES.items():
    for _value in _values:
        attack(f"--{_name} {_value[:40]!r}", *_commands)(_option(_name, _value))

SETS = [
    "[1,2", "model=[]", "=5", "work_dir=elsewhere", "optim_wrapper.optimizer.type=Nonsense",
    "optim_wrapper.optimzer.lr=1", "model.neck", "a=b=c", "", " ", "model.backbone.frozen_stages=2",
    "model.type=Nonsense", "model.backbone.type=ResNet", "train_dataloader.batch_size=x",
    "train_dataloader=None", "train_cfg.max_epochs=-1", "train_cfg.max_epochs=x", "model.bbox_head.num_classes=1",
    "param_scheduler=5", "default_hooks=None", "default_hooks.checkpoint=None", "+custom=1", "+model.new.a=1",
    "optim_wrapper.optimizer.lr=high", "optim_wrapper.optimizer.lr=-1", "default_hooks.logger.interval=0",
    "train_dataloader.dataset.pipeline=[]", "train_dataloader.dataset.ann_file=none.json", "model=None",
    "load_from=x.pth", "resume=True", "randomness.seed=4", "env_cfg.dist_cfg.backend=x", "train_cfg.type=exec",
    "model.test_cfg.score_thr=x", "custom_hooks.0.type=Nonsense", "model.bbox_head.in_channels=7",
    "test_evaluator.metric=x", "default_scope=os", "launcher=pytorch", "log_level=LOUD", "é=1", "model..x=1",
    "train_dataloader.num_workers=-2", "visualizer=None", "optim_wrapper.type=os.system", "a" * 5000,
    "model.bbox_head.loss_cls.loss_weight=x", "default_hooks.checkpoint.interval=0", "log_processor=None",
]  # fmt: skip


def _set(pair: str) -> Attack:
    def change(case: Case) -> None:
        case.extra += ["--set", pair]

    return change


for _pair in SETS:
    attack(f"--set {_pair[:50]}", "train")(_set(_pair))

for _flag in ("force", "resume", "amp", "nonsense"):
    for _command in ALL if _flag in ("force", "nonsense") else ("train",):
        if f"--{_flag}" in ATTACKS:
            OF[_command].append(f"--{_flag}")
        else:
            attack(f"--{_flag}", _command)(
                lambda case, flag=_flag: case.options.update({flag: None})
            )


# --- annotations ----------------------------------------------------------------------

ODD = [
    None, True, -1, 0, 10**9, 1e308, -1e30, "", "x", "NaN", [], [[]], [None], {}, {"a": 1}, [1] * 7, 2**70,
    "../../../etc/passwd", "\x00", "é" * 300, [[1, 2], [3]], {"size": [48, 64], "counts": "0P"}, "DELETE",
    {"size": [10**9, 10**9], "counts": [5]}, [["a", "b"]], "\ud800", float("nan"), float("inf"),
]  # fmt: skip


def _change_json(case: Case, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes the COCO file, wherever it is still one."""
    case.use_json()
    with contextlib.suppress(
        OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError
    ):
        content = json.loads(case.json.read_text())
        change(content)
        case.json.write_text(json.dumps(content))


def _annotation(**changes: object) -> Attack:
    def apply(case: Case) -> None:
        place = case.rng.randrange(4)
        _change_json(case, lambda coco: coco["annotations"][place].update(changes))

    return apply


def _without(kind: str, key: str) -> Attack:
    return lambda case: _change_json(case, lambda coco: coco[kind][0].pop(key))


def _image_entry(**changes: object) -> Attack:
    return lambda case: _change_json(case, lambda c: c["images"][1].update(changes))


def _rle(counts: object, size: tuple[int, int] = (48, 64)) -> dict[str, object]:
    return {"size": list(size), "counts": counts}


ITEMS: dict[str, Attack] = {
    "RLE too short": _annotation(segmentation=_rle([100, 20])),
    "RLE too long": _annotation(segmentation=_rle([100, 20, 5000])),
    "RLE negative": _annotation(segmentation=_rle([-5, 77, 3000])),
    "RLE text cut": _annotation(segmentation=_rle("0")),
    "RLE text none": _annotation(segmentation=_rle("not RLE \x7f")),
    "RLE zero bytes": _annotation(segmentation=_rle("\0\0\0")),
    "RLE huge": _annotation(segmentation=_rle([5], (10**9, 10**9))),
    "RLE of another size": _annotation(segmentation=_rle([100, 20, 280], (20, 20))),
    "RLE without size": _annotation(segmentation={"counts": [1]}),
    "polygon far away": _annotation(segmentation=[[1e300, 1, 5, 9, 9, 9]]),
    "polygon outside": _annotation(segmentation=[[500, 500, 510, 500, 510, 510]]),
    "polygon of two points": _annotation(segmentation=[[1, 2, 3, 4]]),
    "polygon odd": _annotation(segmentation=[[1, 2, 3, 4, 5, 6, 7]]),
    "polygon empty": _annotation(segmentation=[[]]),
    "polygon of texts": _annotation(segmentation=[["a"] * 6]),
    "mask of points in pairs": _annotation(segmentation=[[[1, 2], [3, 4], [5, 9]]]),
    "mask null": _annotation(segmentation=None),
    "mask empty": _annotation(segmentation=[]),
    "box of three": _annotation(bbox=[1, 2, 3]),
    "box empty": _annotation(bbox=[]),
    "box null": _annotation(bbox=None),
    "box negative": _annotation(bbox=[5, 5, -3, -3]),
    "box of texts": _annotation(bbox=["a", "b", "c", "d"]),
    "box far away": _annotation(bbox=[1e9, 1e9, 5, 5]),
    "area text": _annotation(area="big"),
    "area negative": _annotation(area=-5),
    "iscrowd text": _annotation(iscrowd="false"),
    "iscrowd list": _annotation(iscrowd=[1]),
    "no image of that id": _annotation(image_id=99),
    "no category of that id": _annotation(category_id=99),
    "category id as text": _annotation(category_id="1"),
    "image id as text": _annotation(image_id="1"),
    "image id null": _annotation(image_id=None),
    "neither mask nor box": _annotation(segmentation=None, bbox=None),
    "annotation ids twice": _annotation(id=1),
    "annotation id 0": _annotation(id=0),
    "no category id": _without("annotations", "category_id"),
    "no image id": _without("annotations", "image_id"),
    "no annotation id": _without("annotations", "id"),
    "no width": _without("images", "width"),
    "no height": _without("images", "height"),
    "no file name": _without("images", "file_name"),
    "no id of an image": _without("images", "id"),
    "no name of a category": _without("categories", "name"),
    "no id of a category": _without("categories", "id"),
    "image ids twice": _image_entry(id=1),
    "image id list": _image_entry(id=[1]),
    "image of another size": _image_entry(width=48, height=64),
    "image size 0": _image_entry(width=0),
    "image size negative": _image_entry(width=-64, height=-48),
    "image size text": _image_entry(width="64"),
    "image size huge": _image_entry(width=10**9, height=10**9),
    "image name 5": _image_entry(file_name=5),
    "image name null": _image_entry(file_name=None),
    "image name empty": _image_entry(file_name=""),
    "image name of a folder": _image_entry(file_name="images"),
    "image name leads out": _image_entry(file_name="../outside/c.png"),
    "image name absolute": _image_entry(file_name="/etc/hosts"),
    "image name surrogate": _image_entry(file_name="images/\ud800.png"),
    "image name of 300": _image_entry(file_name="é" * 300),
    "image name with zero": _image_entry(file_name="a\0b.png"),
    "image name escapes": _image_entry(file_name="\x1b[31mred.png"),
    "image named twice": _image_entry(file_name="images/a.png"),
    "image of a pipe": _image_entry(file_name="pipe.png"),
}  # fmt: skip
for _name, _change in ITEMS.items():
    attack(f"COCO: {_name}", soft=True)(_change)


@attack("COCO: any value anywhere", soft=True)
def any_value(case: Case) -> None:
    """Puts something odd in the place of any value."""

    def change(coco: dict[str, Any]) -> None:
        node: Any = coco[case.rng.choice(["images", "annotations", "categories"])]
        while True:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            key = case.rng.choice(keys)
            if not isinstance(node[key], (dict, list)) or not node[key]:
                break
            if case.rng.random() < 0.2:
                break
            node = node[key]
        value = copy.deepcopy(case.rng.choice(ODD))
        if value == "DELETE":
            del node[key]
        else:
            node[key] = value

    _change_json(case, change)


@attack("COCO: cut or changed text", soft=True)
def changed_text(case: Case) -> None:
    """Cuts the file, or puts other bytes into it."""
    case.use_json()
    if not case.json.is_file():
        return
    good = case.json.read_bytes()
    start = case.rng.randrange(len(good) + 1)
    words = [b"", b"nan", b"-1", b"1e999", b"\xff", b'"', b"<", b"{", b"99999999999"]
    word, length = case.rng.choice(words), case.rng.choice([0, 1, 3, 12, len(good)])
    case.json.write_bytes(good[:start] + word + good[start + length :])


def _document(text: str | bytes) -> Attack:
    def apply(case: Case) -> None:
        case.use_json()
        case.json.write_bytes(text.encode() if isinstance(text, str) else text)

    return apply


DOCUMENTS: dict[str, str | bytes] = {
    "nothing": "",
    "HTML": "<!DOCTYPE html><html><body>404</body></html>",
    "binary": bytes(range(256)),
    "UTF-16": '{"images": []}'.encode("utf-16"),
    "a list": "[1, 2]",
    "a number": "5",
    "null": "null",
    "an empty dict": "{}",
    "deep nesting": '{"images": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "no images": '{"images": [], "annotations": [], "categories": []}',
    "images a dict": '{"images": {}, "annotations": [], "categories": []}',
    "images of numbers": '{"images": [1], "annotations": [], "categories": [{"id": 1, "name": "leaf"}]}',
    "lists null": '{"images": null, "annotations": null, "categories": null}',
    "annotations of numbers": '{"images": [{"id": 1, "file_name": "images/a.png", "width": 64, "height": 48}],'
    ' "annotations": [3], "categories": [{"id": 1, "name": "leaf"}]}',
}
for _name, _text in DOCUMENTS.items():
    attack(f"JSON: {_name}", soft="of numbers" in _name)(_document(_text))


def _categories(change: Callable[[list[dict[str, Any]]], object]) -> Attack:
    return lambda case: _change_json(case, lambda coco: change(coco["categories"]))


CATEGORIES: dict[str, Callable[[list[dict[str, Any]]], object]] = {
    "two of one name": lambda c: c[1].update(name="leaf"),
    "two of one id": lambda c: c[1].update(id=1),
    "another name": lambda c: c[0].update(name="leaves"),
    "a name of 300": lambda c: c[0].update(name="é" * 300),
    "a surrogate": lambda c: c[0].update(name="\ud800"),
    "escapes": lambda c: c[0].update(name="\x1b[31m"),
    "none": lambda c: c.clear(),
    "one too many": lambda c: c.append({"id": 7, "name": "root"}),
}
for _name, _rename in CATEGORIES.items():
    attack(f"categories: {_name}")(_categories(_rename))


@attack("no annotations", soft=True)
def no_annotations(case: Case) -> None:
    """Removes all annotations, but not their list."""
    _change_json(case, lambda coco: coco["annotations"].clear())


# --- images ---------------------------------------------------------------------------


def _image_bytes(content: bytes) -> Attack:
    return lambda case: (
        case.remove_image(),
        case.image.write_bytes(content),
    )[0]


@attack("image: missing", soft=True)
def missing_image(case: Case) -> None:
    """Removes an image."""
    case.remove_image()


@attack("image: cut", soft=True)
def cut_image(case: Case) -> None:
    """Cuts an image off."""
    if case.image.is_file():
        content = case.image.read_bytes()
        case.image.write_bytes(content[: case.rng.randrange(len(content) or 1)])


@attack("image: a folder", soft=True)
def folder_for_image(case: Case) -> None:
    """A folder of an image's name."""
    case.remove_image()
    case.image.mkdir()


@attack("image: a pipe", soft=True)
def pipe_for_image(case: Case) -> None:
    """A named pipe of an image's name."""
    case.remove_image()
    os.mkfifo(case.image)


@attack("image: a link to /dev/zero", soft=True)
def zero_for_image(case: Case) -> None:
    """A device that never ends."""
    case.remove_image()
    case.image.symlink_to("/dev/zero")


def _picture(mode: str, size: tuple[int, int], form: str) -> Attack:
    def apply(case: Case) -> None:
        case.remove_image()
        if mode == "float":
            values = np.linspace(0, 1, size[0] * size[1], dtype=np.float32)
            Image.fromarray(values.reshape(size[1], size[0])).save(case.image, form)
        else:
            Image.new(mode, size, 1).save(case.image, form)

    return apply


attack("image: zero bytes", soft=True)(_image_bytes(b""))
attack("image: text", soft=True)(_image_bytes(b"I am no image"))
attack("image: a header alone", soft=True)(_image_bytes(b"\x89PNG\r\n\x1a\n"))
attack("image: a bomb", soft=True)(
    _image_bytes(
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
        + struct.pack(">II", 10**6, 10**6)
        + b"\x08\2\0\0\0"
    )
)
attack("image: 50000 x 1", soft=True)(_picture("RGB", (50_000, 1), "PNG"))
attack("image: 1 x 1", soft=True)(_picture("RGB", (1, 1), "PNG"))
attack("image: float TIFF", soft=True)(_picture("float", (64, 48), "TIFF"))
attack("image: 16 bits", soft=True)(_picture("I;16", (64, 48), "PNG"))
attack("image: bilevel", soft=True)(_picture("1", (64, 48), "PNG"))
attack("image: palette GIF", soft=True)(_picture("P", (64, 48), "GIF"))


# --- weights --------------------------------------------------------------------------


def _content(make: Callable[[Any], object]) -> Attack:
    def apply(case: Case) -> None:
        import torch

        case.use_weights()
        with contextlib.suppress(Exception):  # an attack before spoilt the file
            state = torch.load(case.weights, weights_only=False)
            torch.save(make(state), case.weights)

    return apply


def _first(state: Any) -> str:
    return next(name for name in state["state_dict"] if name.endswith("weight"))


def _with(**changes: object) -> Callable[[Any], object]:
    return lambda state: {**state, **changes}


def _shorter(state: Any) -> object:
    del state["state_dict"][_first(state)]
    return state


def _reshaped(state: Any) -> object:
    name = _first(state)
    state["state_dict"][name] = state["state_dict"][name][:1]
    return state


def _of_texts(state: Any) -> object:
    state["state_dict"][_first(state)] = "text"
    return state


def _of_meta(state: Any) -> object:
    name = _first(state)
    state["state_dict"][name] = state["state_dict"][name].to("meta")
    return state


CONTENTS: dict[str, Callable[[Any], object]] = {
    "a list": lambda state: [1, 2],
    "a text": lambda state: "weights",
    "a number": lambda state: 5,
    "None": lambda state: None,
    "an empty dict": lambda state: {},
    "a tensor": lambda state: state["state_dict"][_first(state)],
    "numbers as keys": lambda state: {1: 2},
    "state_dict a list": _with(state_dict=[1]),
    "state_dict None": _with(state_dict=None),
    "state_dict empty": _with(state_dict={}),
    "a part missing": _shorter,
    "another shape": _reshaped,
    "a text for a tensor": _of_texts,
    "a meta tensor": _of_meta,
    "bare": lambda state: state["state_dict"],
    "of a foreign class": lambda state: {"state_dict": Path("a")},
}
for _name, _make in CONTENTS.items():
    attack(f"weights: {_name}")(_content(_make))


def _weight_bytes(change: Callable[[Case, bytes], bytes]) -> Attack:
    def apply(case: Case) -> None:
        case.use_weights()
        case.weights.write_bytes(change(case, case.weights.read_bytes()))

    return apply


def _flipped(case: Case, good: bytes) -> bytes:
    place = case.rng.randrange(len(good) or 1)
    return good[:place] + bytes([case.rng.randrange(256)]) + good[place + 1 :]


attack("weights: empty")(_weight_bytes(lambda case, good: b""))
attack("weights: text")(
    _weight_bytes(lambda case, good: "é no weights".encode("latin-1"))
)
attack("weights: HTML")(_weight_bytes(lambda case, good: b"<html>not found</html>"))
attack("weights: cut")(
    _weight_bytes(lambda c, good: good[: c.rng.randrange(len(good) or 1)])
)
attack("weights: a byte changed")(_weight_bytes(_flipped))
attack("weights: pickle that ends")(_weight_bytes(lambda case, good: b"\x80\x04."))
attack("weights: would run code")(
    _weight_bytes(lambda case, good: b"cos\nsystem\n(S'touch data/hacked'\ntR.")
)


@attack("weights: a zip of something else")
def other_zip(case: Case) -> None:
    """A zip file, compressed, without any weights."""
    case.use_weights()
    with zipfile.ZipFile(case.weights, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", b"\0" * 10_000_000)


def _config(text: str | None, *, append: bool = False) -> Attack:
    def apply(case: Case) -> None:
        file = case.weights.with_suffix(".py")
        if text is None:
            file.unlink(missing_ok=True)
        elif file.is_file():
            file.write_text(
                (file.read_text("utf-8", "replace") if append else "") + text
            )

    return apply


CONFIGS: dict[str, tuple[str | None, bool]] = {
    "missing": (None, False),
    "empty": ("", False),
    "a syntax error": ("\nmodel = dict(\n", True),
    "an import": ("\nimport os\n", True),
    "an exception": ("\nraise ValueError('mine')\n", True),
    "a model of nothing": ("\nmodel = dict(type='Nonsense')\n", True),
    "no model": ("\nmodel = None\n", True),
    "no classes": ("\ntest_dataloader = dict(dataset=dict(metainfo=dict()))\n", True),
    "no data": ("\ntest_dataloader = 5\n", True),
    "other keys": ("a = 1\n", False),
    "binary": ("\0\1\2", False),
}
for _name, (_text, _append) in CONFIGS.items():
    attack(f"configuration: {_name}", "evaluate", "inference")(
        _config(_text, append=_append)
    )


# --- surroundings ---------------------------------------------------------------------


@contextlib.contextmanager
def _limited_files(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@attack("surroundings: full disk")
def full_disk(case: Case) -> None:
    """No file can grow beyond a size."""
    case.around = _limited_files(case.rng.choice([0, 100, 1000, 20_000, 200_000]))


@contextlib.contextmanager
def _read_only(folder: Path) -> Iterator[None]:
    folder.chmod(0o555)
    try:
        yield
    finally:
        folder.chmod(0o755)


@attack("surroundings: read-only results")
def read_only_results(case: Case) -> None:
    """Nothing can be written where the results should be; root can."""
    case.around = _read_only(case.folder / "out")


@attack("surroundings: read-only data")
def read_only_data(case: Case) -> None:
    """Nothing can be written beside the images; nothing needs to be."""
    case.around = _read_only(case.folder / "data")


@attack("surroundings: MPLBACKEND", "train")
def other_backend(case: Case) -> None:
    """A notebook's shell sets it, for its own Python."""
    import matplotlib as mpl

    case.around = mpl.rc_context()  # the variable is read once, as a process starts


@attack("results exist")
def results_exist(case: Case) -> None:
    """Results of these names are there, and some that are the user's own."""
    results = ("test_stats.json", "test_outputs.coco.json", "instances.json", "a.png")
    contents = {**dict.fromkeys(results, "older"), "result.py": "mine = 1"}
    for name, content in contents.items():
        if not (case.folder / "out" / name).is_dir():  # which an attack before made
            (case.folder / "out" / name).write_text(content)


@attack("results are folders")
def results_are_folders(case: Case) -> None:
    """Folders have the names of results."""
    names = [
        "test_stats.json",
        "instances.json",
        "a.png",
        "result.pth",
        "result.train_stats.train.png",
    ]
    (case.folder / "out" / case.rng.choice(names)).mkdir(exist_ok=True)


@attack("output is a file", "evaluate", "inference")
def output_is_file(case: Case) -> None:
    """A file is where the folder should be."""
    case.options["output"] = "out/mine.txt"


@attack("workspace is a file", "train")
def workspace_is_file(case: Case) -> None:
    """A file is where the workspace should be."""
    (case.folder / "out" / "result").write_text("mine")


@attack("workspace of one's own", "train")
def own_workspace(case: Case) -> None:
    """The workspace is a folder of the user's."""
    (case.folder / "out" / "result").mkdir()
    (case.folder / "out" / "result" / "epoch_1.jpg").write_text("mine")


@attack("annotations replaced", "inference")
def annotations_replaced(case: Case) -> None:
    """The COCO file that is read has the name of the result."""
    shutil.copy(case.json, case.folder / "data" / "instances.json")
    case.options.update(data="data/instances.json", output="data", force=None)


@attack("pictures replaced", "inference")
def pictures_replaced(case: Case) -> None:
    """The folder of the images is that of the results."""
    case.options.update(data="data/images", output="data/images", force=None)
