"""Curves of training."""

from __future__ import annotations

from pathlib import Path


def plot_stats(file: str | Path) -> None:
    """Draws a table of statistics by epoch: the losses, or the AP; NAME.txt -> NAME.png."""
    import matplotlib.pyplot as plt
    import pandas as pd

    table = pd.read_csv(file, sep="\t")
    steps = table["epoch"] if "epoch" in table else table["step"]
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for name in (c for c in table if "loss" in c or c.endswith(("mAP", "mAP_50"))):
        bold = name in ("loss", "coco/segm_mAP")
        axes.plot(steps, table[name], label=name, linewidth=3 if bold else 1.5)
    axes.set(xlabel="epoch", ylabel="loss" if "loss" in table else "average precision")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(Path(file).with_suffix(".png"), dpi=150)
    plt.close(figure)
