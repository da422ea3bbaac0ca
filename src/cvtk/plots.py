"""Tables and curves of a training, from MMEngine's log."""

from __future__ import annotations

from pathlib import Path


def write_stats(log: Path, stats: str, kinds: list[str]) -> None:
    """Tables and plots by epoch, from MMEngine's log of each step and validation."""
    import matplotlib.pyplot as plt
    import pandas as pd

    lines = pd.read_json(log, lines=True).drop(columns="base_lr", errors="ignore")
    lines["memory"] = lines.get("memory", 0.0)  # of the GPU, in MB
    train = lines[lines["loss"].notna()].dropna(axis=1, how="all")
    train = train.astype({"epoch": int}).groupby("epoch", as_index=False).mean()
    train = train.drop(columns=["iter", "step"])
    train = train[sorted(train, key=["time", "memory"].count)]  # these come last
    sizes = ("", "_50", "_75", "_s", "_m", "_l")
    scores = [f"coco/{kind}_mAP{size}" for kind in kinds for size in sizes]
    scores += ["data_time", "time", "step"]
    valid = lines[lines["loss"].isna()].reindex(columns=scores)
    # AP is 0 after an epoch in which nothing at all was found
    for name, table in (("train", train), ("valid", valid.fillna(0.0))):
        if len(table):
            table.to_csv(f"{stats}.{name}.txt", sep="\t", index=False)
            shown = [c for c in table if "loss" in c or c.endswith(("mAP", "mAP_50"))]
            axes = table.plot(table.columns[0 if name == "train" else -1], shown)
            axes.set(xlabel="epoch", ylabel="loss" if name == "train" else "AP")
            axes.figure.savefig(f"{stats}.{name}.png", dpi=150)
            plt.close(axes.figure)
