"""Which architectures train: one of each family, really tried.

    python benchmarks/zoo.py                    # make zoo: the sweep; writes docs/zoo-table.md
    python benchmarks/zoo.py --only solo,swin   # some families (folders of MMDetection), table on the console
    python benchmarks/zoo.py --params           # counts parameters; writes src/cvtk/zoo/params.json

Each model is built from scratch, trained for one epoch on four made-up images at 128 pixels, on the CPU, and
predicts two more, in a process of its own with a time limit. One that is given poses gets dancers with theirs. The
operators are those that are installed: without compiled mmcv, those of cvtk. Whether it can be exported is what
benchmarks/export_table.py has found.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import json
import multiprocessing
import os
import platform
import re
import resource
import signal
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs" / "zoo-table.md"
EXPORTS = ROOT / "docs" / "export-table.md"
PARAMS = ROOT / "src" / "cvtk" / "zoo" / "params.json"
PATIENCE = 20  # times as long as the processor time of a trial, on a busy machine
MEMORY = 10 * 2**30  # bytes that one trial may use
HEADER = """# Which architectures train

Made by `make zoo` (`benchmarks/zoo.py`), not by hand: of each family of instance segmentation models in
MMDetection's index and cvtk's own (folder `configs`), the lightest entry is built from scratch, trained for one epoch on four made-up images
({size} pixels), and predicts two more, on the CPU. Whether it can be exported is in
[a table of its own](export-table.md), which also has the detectors of boxes.

{versions}

"""


def candidates(task: str = "segm") -> list:
    """The lightest entry of each family, where a family is a folder of MMDetection and a method."""
    from cvtk import zoo

    groups: dict[tuple[str, str], list] = {}
    for entry in zoo.catalogue():
        if entry.task == task:
            groups.setdefault((entry.config.parent.name, entry.family), []).append(
                entry
            )
    # DCN v1 and v2 and the like are folders of their own; a method in two folders is tried in both.
    return [
        min(g, key=lambda e: (e.params or 1e9, e.memory_gb or 99, len(e.name)))
        for _, g in sorted(groups.items())
    ]


def try_one(name: str, size: int) -> dict:
    """Trains and predicts with one model, in this process."""
    from mmengine.config import Config

    import cvtk
    from cvtk import zoo
    from cvtk.demo import make_demo
    from cvtk.engine.poses import is_given_poses
    from cvtk.recipe.quirks import apply_quirks

    with tempfile.TemporaryDirectory() as folder:
        config = zoo.find(name, "segm").config
        cfg = Config.fromfile(config, import_custom_modules=False).to_dict()
        poses = is_given_poses(cfg)
        place, size_made = Path(folder) / "data", (160, 128)
        files = make_demo(place, images=(4, 2, 2), size=size_made, seed=1, poses=poses)
        notes = apply_quirks(cfg)  # what the engine will say of it
        model = cvtk.create_model(name, labels=files.label, task="segm")
        start = time.perf_counter()
        model.train(
            train=files.train,
            output_weights=Path(folder) / "out" / "model.pth",
            epochs=1,
            batch_size=2,
            num_workers=0,
            image_size=size,
            device="cpu",
            weights="none",
        )
        trained = time.perf_counter()
        results = model.predict(files.test, score=0.0, device="cpu")
        found = sum(len(result) for result in results)
        predicted = time.perf_counter()
        stats = Path(folder) / "out" / "model.train_stats.train.txt"
        header, *rows = [line.split("\t") for line in stats.read_text().splitlines()]
        loss = float(rows[-1][header.index("loss")])
    if loss != loss or abs(loss) == float("inf"):
        raise ValueError(f"the loss is {loss}")
    return {
        "notes": notes,
        "loss": loss,
        "found": found,
        "train_s": trained - start,
        "predict_s": predicted - trained,
    }


def _child(
    work: Callable[..., dict], args: tuple, limit: float, pipe: Connection
) -> None:
    quiet = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(quiet, stream)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (int(limit), int(limit) + 5))
    try:
        pipe.send(work(*args))
    except Exception as error:
        first = (str(error).splitlines() or [""])[0]
        pipe.send({"error": f"{type(error).__name__}: {first}"})


def in_process(work: Callable[..., dict], *args: object, limit: float) -> dict:
    """What a function gives in a process of its own; what goes wrong there comes back as `error`.

    Args:
        work: The function.
        args: What it is called with.
        limit: Seconds of processor time that it may take.
    """
    # A fork has all modules already, which saves half of the time.
    kinds = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("fork" if "fork" in kinds else "spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(work, args, limit, sender))
    process.start()
    sender.close()
    try:
        if receiver.poll(PATIENCE * limit):
            return receiver.recv()
        return {"error": "it waits for something"}
    except EOFError:
        process.join()
        if process.exitcode == -signal.SIGXCPU:
            return {"error": f"not done after {limit:.0f} s"}
        return {"error": f"the process ended with code {process.exitcode}"}
    finally:
        process.terminate()
        process.join()


def sweep(only: set[str], size: int, limit: float, keep: Path | None) -> list[tuple]:
    """Tries each candidate, or takes over what an interrupted sweep has written to `keep`."""
    known = {}
    if keep and keep.exists():
        known = dict(json.loads(line) for line in keep.read_text().splitlines())
    rows = []
    for entry in candidates():
        if keep and rows and not only:
            write_table(rows, size)  # so far
        if only and entry.config.parent.name not in only:
            continue
        result = known.get(entry.name) or in_process(
            try_one, entry.name, size, limit=limit
        )
        rows.append((entry, result))
        text = (
            result.get("error")
            or f"loss {result['loss']:.2f}, {result['train_s']:.0f} s"
        )
        outcome = "FAILS" if "error" in result else "works"
        print(f"{outcome:<6} {entry.family:<34} {entry.name}: {text}", flush=True)
        if keep and entry.name not in known:
            with keep.open("a") as file:
                file.write(json.dumps([entry.name, result]) + "\n")
    return rows


def write_table(rows: list[tuple], size: int) -> None:
    from cvtk.doctor import check_mmcv

    names = ("onedl-mmdetection", "onedl-mmcv", "torch", "torchvision")
    versions = (
        ", ".join(f"{n} {version(n)}" for n in names)
        + f", Python {platform.python_version()}; {check_mmcv().detail}."
    )
    works = sum("error" not in r for _, r in rows)
    waiting = sorted({e.name for e in candidates()} - {e.name for e, _ in rows})
    lines = [
        f"{works} of {len(rows)} tried work; not tried yet: {', '.join(waiting) or 'none'}.",
        "",
        "| family | folder | tried | loss | works |",
        "|---|---|---|---|---|",
    ]
    for entry, result in rows:
        loss = "" if "error" in result else f"{result['loss']:.2f}"
        outcome = " ".join(["yes.", *result.get("notes", [])]).rstrip(".")
        if "error" in result:
            outcome = "no: " + result["error"].replace("|", "/")
        lines.append(
            f"| {entry.family} | {entry.config.parent.name} | `{entry.name}` | {loss} | {outcome} |"
        )
    replace(
        TABLE, HEADER.format(size=size, versions=versions) + "\n".join(lines) + "\n"
    )
    add_exports()


def add_exports() -> None:
    """Writes the last column of the table anew: which can be exported, as docs/export-table.md says."""
    found = {}
    for line in EXPORTS.read_text(encoding="utf-8").splitlines():
        name = re.search(r"`(\S+)` \| (.+?) \|$", line)
        if name:
            found[name[1]] = name[2]
    lines = []
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if line.startswith("|"):
            cells = line.strip("| ").split(" | ")[:5]
            name = cells[2].strip("`") if len(cells) > 2 else ""
            answer = "exported" if name == "tried" else found.get(name, "not tried")
            line = (
                f"{'|---' * 6}|" if not name else f"| {' | '.join([*cells, answer])} |"
            )
        lines.append(line)
    replace(TABLE, "\n".join(lines) + "\n")


def replace(file: Path, text: str) -> None:
    """Writes a file in one go."""
    beside = file.with_suffix(".tmp")
    beside.write_text(text, encoding="utf-8")
    beside.replace(file)


def count_params() -> None:
    """Counts the parameters of every model of the catalogue; weights are not made ("meta" device)."""
    import contextlib
    import io
    import logging
    import warnings

    import torch
    from mmdet.registry import MODELS
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    from cvtk import zoo
    from cvtk.recipe.quirks import apply_quirks
    from cvtk.zoo.index import all_entries

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    init_default_scope("mmdet")
    # What was counted before stays; remove the file to count anew.
    table = json.loads(PARAMS.read_text()) if PARAMS.exists() else {}
    for entry in [
        *zoo.catalogue(),
        *(e for e in all_entries() if not e.listed and e.task == "segm"),
    ]:
        if entry.name in table:
            continue
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                cfg = Config.fromfile(
                    entry.config, import_custom_modules=False
                ).to_dict()
                apply_quirks(cfg)
                cfg = Config(cfg)
                try:
                    with torch.device("meta"):
                        model = MODELS.build(copy.deepcopy(cfg.model))
                except (
                    RuntimeError,
                    NotImplementedError,
                ):  # what computes while it is built
                    model = MODELS.build(cfg.model)
            table[entry.name] = round(
                sum(p.numel() for p in model.parameters()) / 1e6, 2
            )
        except Exception as error:
            print(
                f"{entry.name}: {type(error).__name__}: {str(error).splitlines()[:1]}",
                flush=True,
            )
    PARAMS.write_text(
        json.dumps(dict(sorted(table.items())), indent=0) + "\n", encoding="utf-8"
    )
    print(f"{len(table)} models counted")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only",
        default="",
        help="folders of MMDetection's configurations, joined by commas",
    )
    parser.add_argument(
        "--size", type=int, default=128, help="long side of the images in pixels"
    )
    parser.add_argument(
        "--limit", type=float, default=300, help="seconds of a processor for one model"
    )
    parser.add_argument(
        "--keep", type=Path, help="file of results, to go on after an interruption"
    )
    parser.add_argument(
        "--params", action="store_true", help="count the parameters instead"
    )
    parser.add_argument("--one", help="try this one model, with all that it says")
    args = parser.parse_args()
    if args.params:
        count_params()
    elif args.one:
        print(json.dumps(try_one(args.one, args.size), indent=2))
    else:
        import torch

        for module in ("mmdet.models", "mmdet.datasets", "mmengine.runner"):
            importlib.import_module(module)  # for all forks at once
        torch.set_num_threads(1)  # what a fork can rely on
        rows = sweep(
            {f for f in args.only.split(",") if f}, args.size, args.limit, args.keep
        )
        if not args.only:
            write_table(rows, args.size)


if __name__ == "__main__":
    main()
