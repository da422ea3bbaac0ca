"""Tables and curves of a training, from MMEngine's log."""

from __future__ import annotations

from pathlib import Path


def write_stats(log: Path, stats: str) -> None:
    """Tables and plots by epoch, from MMEngine's log of each step and validation."""
    import pandas as pd

    lines = pd.read_json(log, lines=True).drop(columns="base_lr")
    lines["memory"] = lines.get("memory", 0.0)  # of the GPU, in MB
    train = lines[lines["loss"].notna()].astype({"epoch": int})
    train = train.groupby("epoch", as_index=False).mean().drop(columns=["iter", "step"])
    train = train[sorted(train, key=["time", "memory"].count)]  # these come last
    valid = lines[lines["loss"].isna()].drop(columns="memory")
    valid = valid[sorted(valid, key=lambda name: "/" not in name)]  # scores come first
    for name, table in (("train", train), ("valid", valid)):
        # AP is 0 in an epoch after which nothing at all was found
        table = table.dropna(axis=1, how="all").fillna(0.0)
        shown = [c for c in table if "loss" in c or c.endswith(("mAP", "mAP_50"))]
        if len(table):
            table.to_csv(f"{stats}.{name}.txt", sep="\t", index=False)
        if shown:
            axes = table.plot(table.columns[0 if name == "train" else -1], shown)
            axes.set(xlabel="epoch", ylabel="loss" if name == "train" else "AP")
            axes.figure.savefig(f"{stats}.{name}.png", dpi=150)
