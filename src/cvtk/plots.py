"""Tables and curves of a training, from MMEngine's log."""

from __future__ import annotations

from pathlib import Path


def write_stats(log: Path, stats: str) -> None:
    """Tables and plots by epoch, from MMEngine's log of each step and validation."""
    import pandas as pd

    lines = pd.read_json(log, lines=True)
    lines["memory"] = lines.get("memory", 0.0)  # of the GPU, in MB
    train = lines[lines["loss"].notna()].groupby("epoch").mean()
    last = ["time", "memory"]
    skip = ["iter", "step", "base_lr", *last]
    train = train[[c for c in train if c not in skip] + last].reset_index()
    train["epoch"] = train["epoch"].astype(int)
    scores = [c for c in lines if c not in train]  # 0 where nothing at all was found
    valid = lines[lines["loss"].isna()].fillna(0.0)
    valid = valid[[c for c in scores if "/" in c] + ["data_time", "time", "step"]]
    for name, table in (("train", train), ("valid", valid)):
        shown = [c for c in table if "loss" in c or c.endswith(("mAP", "mAP_50"))]
        if len(table):
            table.to_csv(f"{stats}.{name}.txt", sep="\t", index=False)
        if len(table) and shown:
            axes = table.plot(table.columns[0 if name == "train" else -1], shown)
            axes.set(xlabel="epoch", ylabel="loss" if name == "train" else "AP")
            axes.figure.savefig(f"{stats}.{name}.png", dpi=150)
