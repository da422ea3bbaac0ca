"""Tables and curves of a training, from MMEngine's log."""

from __future__ import annotations

from pathlib import Path


def write_stats(workspace: Path, kinds: list[str]) -> None:
    """Tables and plots by epoch, from MMEngine's logs: several, where it was resumed."""
    import matplotlib.pyplot as plt
    import pandas as pd

    logs = sorted(workspace.glob("*/vis_data/scalars.json"))
    lines = pd.concat([pd.read_json(log, lines=True) for log in logs])
    lines["memory"] = lines.get("memory", 0.0)  # of the GPU, in MB
    train = lines[lines["epoch"].notna()].dropna(axis=1, how="all")
    train = train.astype({"epoch": int}).groupby("epoch", as_index=False).last()
    train = train.drop(columns=["iter", "step", "base_lr"], errors="ignore")
    train = train[sorted(train, key=["time", "memory"].count)]  # these come last
    sizes = ("", "_50", "_75", "_s", "_m", "_l")
    names = [f"coco/{kind}_mAP{size}" for kind in kinds for size in sizes]
    valid = lines[lines["epoch"].isna()].groupby("step", as_index=False).last()
    # AP is 0 after an epoch in which nothing at all was found
    valid = valid.reindex(columns=[*names, "data_time", "time", "step"]).fillna(0.0)
    for name, table in (("train", train), ("valid", valid)):
        if len(table):
            file = f"{workspace}.train_stats.{name}"
            table.to_csv(f"{file}.txt", sep="\t", index=False)
            shown = [c for c in table if "loss" in c or c.endswith(("mAP", "mAP_50"))]
            axes = table.plot("epoch" if name == "train" else "step", shown)
            axes.set(xlabel="epoch", ylabel="loss" if name == "train" else "AP")
            axes.figure.savefig(f"{file}.png", dpi=150)
            plt.close(axes.figure)
