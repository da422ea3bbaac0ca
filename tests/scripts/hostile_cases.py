"""Runs a script on a spoilt folder, and judges how it ends."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import random
import re
import resource
import shutil
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
from hostile_attacks import ATTACKS, SOFT, Case
from PIL import Image
from running import call, load

from cvtk.scripts.create import create_script

MODES = ("helper", "vanilla")
SECONDS = 60  # a run that takes longer hangs
MEMORY = 12 * 2**30  # addresses, in bytes; a run that needs more fails
CONFIG = """\
_base_ = {base!r}
model = dict(
    backbone=dict(widen_factor=0.125),
    neck=dict(in_channels=[32, 64, 128], out_channels=16),
    bbox_head=dict(in_channels=16, feat_channels=16),
    test_cfg=dict(score_thr=0.001, max_per_img=5))
"""


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        kind: "success", "line", "usage", or a failure: "traceback", "hang", "no line", "changed", "new file".
        detail: What is wrong, or the line.
        stack: The traceback; empty where there is none.
    """

    kind: str
    detail: str = ""
    stack: str = ""

    @property
    def good(self) -> bool:
        """Whether a user would be content with it."""
        return self.kind in ("success", "line", "usage", "left to MMDetection")


class Hang(BaseException):
    """A run that does not end."""


@contextlib.contextmanager
def small_process() -> Iterator[None]:
    """Limits this process in threads and memory, and in MMEngine's care for the layout of configurations.

    That layout is half of the time of a training this small.
    """
    import torch
    from yapf.yapflib import yapf_api

    limits = resource.getrlimit(resource.RLIMIT_AS)
    threads, layout = torch.get_num_threads(), yapf_api.FormatCode
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, limits[1]))
    yapf_api.FormatCode = lambda text, **options: (text, False)
    try:
        yield
    finally:
        gc.unfreeze()
        yapf_api.FormatCode = layout
        resource.setrlimit(resource.RLIMIT_AS, limits)
        torch.set_num_threads(threads)


class Scripts:
    """Both kinds of script for a shrunken network, and a folder to copy for each case."""

    def __init__(self, folder: Path) -> None:
        import mmdet

        self.folder = folder
        configs = Path(mmdet.__file__).parent / ".mim" / "configs"
        base = configs / "rtmdet" / "rtmdet-ins_tiny_8xb32-300e_coco.py"
        config = folder / "tiny_8xb32.py"
        config.write_text(CONFIG.format(base=str(base)))
        self.scripts: dict[str, Path] = {}
        self.modules: dict[str, ModuleType] = {}
        for mode in MODES:
            script = folder / mode / "segm.py"
            create_script(script, "segm", str(config), vanilla=mode == "vanilla")
            self.scripts[mode], self.modules[mode] = script, load(script)
        self.clean = folder / "clean"
        make_clean(self.clean)
        self.train()
        gc.collect()
        gc.freeze()  # what is there now stays: to look through it was half of the time of each case

    def train(self) -> None:
        """Puts weights into the clean folder."""
        outcome, case = self._run(
            "helper", Case(self.clean, "train", options_of("train"), random.Random(0))
        )
        assert outcome.kind == "success", outcome
        for ending in (".pth", ".py"):
            (case.folder / "out" / f"result{ending}").rename(
                case.folder / "weights" / f"model{ending}"
            )
        shutil.copy(case.weights, case.folder / "weights" / "alone.pth")
        shutil.rmtree(case.folder / "out")
        (case.folder / "out").mkdir()
        (case.folder / "out" / "mine.txt").write_text("mine")

    def run(
        self, mode: str, command: str, attacks: Sequence[str], seed: int
    ) -> Outcome:
        """Runs a command of a script after some attacks.

        Args:
            mode: "helper" or "vanilla".
            command: "train", "evaluate" or "inference".
            attacks: Their names.
            seed: Of what they draw.
        """
        folder = self.folder / "case"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.clean, folder, symlinks=True, copy_function=copy_any)
        # copytree would read the pipes
        make_specials(folder / "data")
        case = Case(folder, command, options_of(command), random.Random(seed))
        for name in attacks:
            ATTACKS[name](case)
        before = snapshot(folder)
        outcome, _ = self._run(mode, case)
        after = snapshot(folder)
        if not outcome.good and self._left_to_mmdetection(mode, case, attacks, outcome):
            outcome = Outcome("left to MMDetection", outcome.detail)
        return changes(before, after, case, outcome) or outcome

    def _run(self, mode: str, case: Case) -> tuple[Outcome, Case]:
        arguments = [case.command]
        for name, value in case.options.items():
            arguments += [f"--{name}"] if value is None else [f"--{name}", value]
        arguments += case.extra
        try:
            with time_limit(SECONDS), case.around:
                done = call(
                    self.scripts[mode],
                    *arguments,
                    module=self.modules[mode],
                    folder=case.folder,
                )
        except Hang:
            return Outcome("hang", stack=traceback.format_exc()), case
        except (Exception, KeyboardInterrupt) as error:
            first = (str(error).splitlines() or [""])[0][:200]
            return Outcome(
                "traceback", f"{type(error).__name__}: {first}", traceback.format_exc()
            ), case
        finally:
            forget_training()
        return judge(done.returncode, done.stderr), case

    @staticmethod
    def _left_to_mmdetection(
        mode: str, case: Case, attacks: Sequence[str], outcome: Outcome
    ) -> bool:
        """Whether the opening comment of the vanilla script says that it does not look at that."""
        reads = case.command in ("train", "evaluate")
        return (
            mode == "vanilla"
            and reads
            and outcome.kind == "traceback"
            and bool(SOFT & {*attacks})
        )


def make_clean(folder: Path) -> None:
    """Two images with two objects each, of two classes."""
    for name in ("data/images", "data/empty", "outside", "weights", "out"):
        (folder / name).mkdir(parents=True)
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for number, name in enumerate("ab", 1):
        pixels = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "data" / "images" / f"{name}.png")
        images.append(
            {"id": number, "file_name": f"images/{name}.png", "width": 64, "height": 48}
        )
        for k in (0, 1):
            x, y = 4 + 30 * k, 5 + 10 * k
            polygon = [x, y, x + 24, y, x + 24, y + 20, x, y + 20]
            item = {
                "id": len(annotations) + 1,
                "image_id": number,
                "category_id": k + 1,
                "iscrowd": 0,
            }
            item.update(bbox=[x, y, 24, 20], area=480, segmentation=[polygon])
            annotations.append(item)
    names = [{"id": 1, "name": "leaf"}, {"id": 2, "name": "stem"}]
    coco = {"images": images, "annotations": annotations, "categories": names}
    data = folder / "data"
    (data / "all.json").write_text(json.dumps(coco))
    (data / "label.txt").write_text("leaf\nstem\n")
    (data / "twice.txt").write_text("leaf\nleaf\n")
    (data / "odd labels.txt").write_text("fruit\nroot\n")
    (data / "empty.txt").write_text("\n")
    (data / "latin.txt").write_bytes("blätter\n".encode("latin-1"))
    (data / "binary.txt").write_bytes(bytes(range(256)))
    (data / "list.txt").write_text("images/a.png\nimages/none.png\n")
    (data / "pipes.txt").write_text("pipe\n")
    for name in ("folder.json", "folder.txt", "folder.png"):
        (data / name).mkdir()
    shutil.copy(data / "images" / "a.png", folder / "outside" / "c.png")
    make_specials(data)


def make_specials(data: Path) -> None:
    """What is neither file nor folder."""
    for name in ("pipe", "pipe.json", "pipe.png"):
        if not (data / name).exists():
            os.mkfifo(data / name)
    for name in ("zero.json", "zero.png", "zero.txt"):
        if not (data / name).is_symlink():
            (data / name).symlink_to("/dev/zero")
    if not (data / "link").is_symlink():
        (data / "link").symlink_to("nowhere")


def copy_any(source: str, target: str) -> None:
    """Copies a file; a pipe, which would be waited for, is left out."""
    if Path(source).is_file():
        shutil.copyfile(source, target)


def options_of(command: str) -> dict[str, str | None]:
    """Options with which a command succeeds."""
    weights = "weights/model.pth"
    options: dict[str, dict[str, str | None]] = {
        "train": {
            "label": "data/label.txt", "train": "data/all.json", "output_weights": "out/result.pth",
            "weights": "none", "epoch": "1", "batch_size": "2", "num_workers": "0", "image_size": "64",
        },
        "evaluate": {"data": "data/all.json", "model_weights": weights, "output": "out"},
        "inference": {"data": "data/images", "model_weights": weights, "output": "out", "score": "0.002"},
    }  # fmt: skip
    return {**options[command], "device": "cpu"}


def snapshot(folder: Path) -> dict[str, bytes | str]:
    """All that lies in a folder: the bytes of files, the kind of what is none."""
    found: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"link to {path.readlink()}"
        elif path.is_file():
            found[name] = path.read_bytes()
        else:
            found[name] = "folder" if path.is_dir() else "pipe"
    return found


def changes(
    before: dict[str, bytes | str],
    after: dict[str, bytes | str],
    case: Case,
    outcome: Outcome,
) -> Outcome | None:
    """What a run did to the folder and should not have done; None where all is well."""
    result = Path(case.options.get("output_weights") or "?").with_suffix("")
    workspace = str(result) + "/"
    for name, content in before.items():
        old_result = name.startswith("out/") and content in (b"older",)
        if after.get(name) != content and not (old_result and "force" in case.options):
            return Outcome("changed", f"{name} ({outcome})", outcome.stack)
    failed = outcome.kind != "success"
    new = [name for name in after if name not in before and after[name] != "folder"]
    # Tables and plots are of the epochs that were trained.
    new = [n for n in new if not n.startswith((workspace, f"{result}.train_stats."))]
    # An inference completes the images that can be read, and notes what it has done where it is stopped.
    goes_on = "The others are complete" in outcome.detail
    goes_on |= any(n.endswith("instances.unfinished.jsonl") for n in new)
    if case.command == "inference" and goes_on:
        new = [n for n in new if not n.startswith("out/")]
    if failed and new:
        return Outcome("new file", f"{new[:3]} ({outcome})", outcome.stack)
    return None


def judge(code: int, error: str) -> Outcome:
    """How a run ended that ended by itself."""
    # Before it may stand what libraries warn of.
    error = error[max(error.rfind("\nError: ") + 1, 0) :]
    lines = error.strip().splitlines()
    if code == 0:
        return Outcome("success")
    if code == 2 and lines and re.match(r"segm\.py.*: error: ", lines[-1]):
        return Outcome("usage", lines[-1])
    if not lines or not lines[0].startswith("Error: "):
        return Outcome("no line", error[:500])
    several = re.match(r"Error: \d+ options cannot be used:|Error: --set ", lines[0])
    if len(lines) > 1 and not several:
        return Outcome("no line", error[:500])
    if (
        len(lines[0]) < 20
        or "Traceback" in error
        or re.search(r"[\x00-\x09\x0b-\x1f]", error)
    ):
        return Outcome("no line", repr(error[:500]))
    return Outcome("line", error.strip())


@contextlib.contextmanager
def time_limit(seconds: int):
    """Raises `Hang` after so many seconds."""

    def stop(number, frame):
        raise Hang

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def forget_training() -> None:
    """Lets MMEngine, which keeps loggers and painters for the life of a process, begin anew."""
    import torch
    from mmdet.visualization import DetLocalVisualizer
    from mmengine.logging import MessageHub, MMLogger
    from mmengine.registry import DefaultScope

    for logger in list(MMLogger._instance_dict.values()):
        for handler in list(logger.handlers):
            with contextlib.suppress(OSError):
                handler.close()
            logger.removeHandler(handler)
    for kept in (MMLogger, MessageHub, DetLocalVisualizer, DefaultScope):
        kept._instance_dict.clear()
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
    torch.use_deterministic_algorithms(False)
    gc.collect()
