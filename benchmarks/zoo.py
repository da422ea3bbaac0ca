"""Which architectures train: one of each family, really tried.

    python benchmarks/zoo.py                    # make zoo: the sweep; writes docs/zoo-table.md
    python benchmarks/zoo.py --only solo,swin   # some families (folders of MMDetection), table on the console
    python benchmarks/zoo.py --params           # counts parameters; writes src/cvtk/zoo/params.json

Each model is built from scratch, trained for one epoch on four made-up images at 128 pixels, on the CPU, and
predicts two more, in a process of its own with a time limit. The operators are those that are installed:
without compiled mmcv, those of cvtk.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs" / "zoo-table.md"
PARAMS = ROOT / "src" / "cvtk" / "zoo" / "params.json"
HEADER = """# Which architectures train

Made by `make zoo` (`benchmarks/zoo.py`), not by hand: of each family of instance segmentation models in
MMDetection's index, the lightest entry is built from scratch, trained for one epoch on eight made-up images
({size} pixels), and predicts two more, on the CPU.

{versions}

"""


def candidates() -> list:
    """The lightest entry of each family, where a family is a folder of MMDetection and a method."""
    from cvtk import zoo

    groups: dict[tuple[str, str], list] = {}
    for entry in zoo.catalogue():
        if entry.task == "segm":
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
    from cvtk.adapt import adapt
    from cvtk.demo import make_demo

    with tempfile.TemporaryDirectory() as folder:
        files = make_demo(
            Path(folder) / "data", images=(4, 2, 2), size=(160, 128), seed=1
        )
        # As the engine does; a configuration that was adapted once has nothing left to adapt.
        config = zoo.find(name, "segm").config
        cfg = Config.fromfile(config, import_custom_modules=False).to_dict()
        notes = adapt(cfg)
        own = cvtk.save_config(cfg, Path(folder) / config.name)
        model = cvtk.create_model(own, labels=files.label, task="segm")
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
        images = [
            p for p in files.test.parent.rglob("*") if p.suffix in (".jpg", ".png")
        ]
        found = sum(
            len(result) for result in model.predict(images, score=0.0, device="cpu")
        )
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
        "predict_s": time.perf_counter() - trained,
    }


def in_process(name: str, size: int, limit: float) -> dict:
    """The same in a process of its own; what goes wrong there comes back as `error`."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
    }
    command = [sys.executable, __file__, "--one", name, "--size", str(size)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=limit, env=environment
        )
    except subprocess.TimeoutExpired:
        return {"error": f"not done after {limit:.0f} s"}
    for line in reversed(done.stdout.splitlines()):
        if line.startswith("RESULT "):
            return json.loads(line.removeprefix("RESULT "))
    tail = [line for line in done.stderr.splitlines() if line.strip()]
    return {
        "error": f"ended with code {done.returncode}: {tail[-1] if tail else 'no message'}"
    }


def sweep(only: set[str], size: int, limit: float, keep: Path | None) -> list[tuple]:
    """Tries each candidate, or takes over what an interrupted sweep has written to `keep`."""
    known = {}
    if keep and keep.exists():
        known = dict(json.loads(line) for line in keep.read_text().splitlines())
    rows = []
    for entry in candidates():
        if only and entry.config.parent.name not in only:
            continue
        result = known.get(entry.name) or in_process(entry.name, size, limit)
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
    lines = [
        f"{works} of {len(rows)} work.",
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
    beside = TABLE.with_suffix(".tmp")
    beside.write_text(
        HEADER.format(size=size, versions=versions) + "\n".join(lines) + "\n",
        encoding="utf-8",
    )
    beside.replace(TABLE)


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
    from cvtk.adapt import adapt
    from cvtk.zoo.index import everything

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    init_default_scope("mmdet")
    table = {}
    for entry in [
        *zoo.catalogue(),
        *(e for e in everything() if not e.listed and e.task == "segm"),
    ]:
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                cfg = Config.fromfile(
                    entry.config, import_custom_modules=False
                ).to_dict()
                adapt(cfg)
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
        "--limit", type=float, default=300, help="seconds for one model"
    )
    parser.add_argument(
        "--keep", type=Path, help="file of results, to go on after an interruption"
    )
    parser.add_argument(
        "--params", action="store_true", help="count the parameters instead"
    )
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.params:
        count_params()
    elif args.one:
        try:
            result = try_one(args.one, args.size)
        except Exception as error:
            import traceback

            traceback.print_exc()
            first = (str(error).splitlines() or [""])[0]
            result = {"error": f"{type(error).__name__}: {first}"}
        print("RESULT " + json.dumps(result))
    else:
        rows = sweep(
            {f for f in args.only.split(",") if f}, args.size, args.limit, args.keep
        )
        if not args.only:
            write_table(rows, args.size)


if __name__ == "__main__":
    main()
