"""The picture of a report: how many annotations each class has in each split."""

from __future__ import annotations

import io
from pathlib import Path

from cvtk.data.types import Dataset
from cvtk.io import atomic_write

SPLIT_NAMES = {"train": "training", "val": "validation", "test": "test"}


def draw_histogram(sets: dict[str, Dataset], file: Path) -> None:
    """Annotations of each class by split, as bars."""
    import matplotlib

    matplotlib.use("Agg", force=False)
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(name for d in sets.values() for name in d.class_names))[
        :100
    ]
    figure = Figure(
        figsize=(max(5.0, 1.2 + 0.45 * len(names)), 3.6), layout="constrained"
    )
    axes = figure.add_subplot()
    width = 0.8 / max(len(sets), 1)
    colours = ("#0072b2", "#e69f00", "#009e73")  # Okabe and Ito (2008), for all eyes
    for k, (split, dataset) in enumerate(sets.items()):
        counts = dataset.counts()
        places = [i - 0.4 + (k + 0.5) * width for i in range(len(names))]
        axes.bar(
            places,
            [counts.get(n, 0) for n in names],
            width,
            label=SPLIT_NAMES[split],
            color=colours[k % 3],
        )
    axes.set_xticks(range(len(names)), names)
    if len(names) > 6:
        axes.tick_params("x", rotation=60)
    axes.set_ylabel("annotations")
    axes.spines[["top", "right"]].set_visible(False)
    if len(sets) > 1:
        axes.legend(frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=120, format="png")
    with atomic_write(file, force=True) as part:
        part.write_bytes(buffer.getvalue())
