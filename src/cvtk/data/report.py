"""What `check` leaves behind: check_dataset_result.json, sample images, a histogram, and one HTML page."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

from cvtk.data.check import Report
from cvtk.data.model import Dataset
from cvtk.data.show import samples
from cvtk.data.stats import class_table, stats
from cvtk.files import written_whole

_NAMES = {"train": "training", "val": "validation", "test": "test"}


def summary(report: Report, *, most: int = 3) -> str:
    """The report as text: a table of classes, then each kind of problem with a few examples."""
    lines = [class_table(report.datasets), ""]
    kinds = sorted(
        report.problems.counts.items(),
        key=lambda kv: ("error", "warning", "note").index(kv[0][0]),
    )
    for (severity, kind, file), n in kinds:
        lines.append(f"{severity:7}  {kind}: {n} in {file}")
        if severity == "note":
            continue
        shown = [
            p
            for p in report.problems.of_kind(kind)
            if (p.severity, p.file) == (severity, file)
        ][:most]
        lines += [f"         - {p.item}: {p.message}" for p in shown]
        if shown and shown[0].remedy:
            lines.append(f"         -> {shown[0].remedy}")
    lines += survivors_lines(report.survivors)
    errors, warnings = (
        report.problems.number("error"),
        report.problems.number("warning"),
    )
    lines.append(
        "Check passed."
        if report.passed
        else "Check failed: these errors would spoil training."
    )
    lines[-1] += f" {errors} errors, {warnings} warnings."
    return "\n".join(lines)


def survivors_lines(survivors: dict[str, Any]) -> list[str]:
    """What reaches the loss, as text."""
    if not survivors:
        return []
    tried = f"What training {survivors['model']} sees of {survivors['images']} images"
    left = ", ".join(survivors["left_out"])
    lines = ["", f"{tried} (random steps not run: {left}):" if left else f"{tried}:"]
    for name, row in survivors["classes"].items():
        lost = "; ".join(f"{n} {why}" for why, n in row["lost"].items())
        lines.append(
            f"  {name}: {row['kept']} of {row['annotations']} reach the loss"
            + (f" ({lost})" if lost else "")
        )
    return [*lines, ""]


def result(
    report: Report, pictures: dict[str, list[str]], histogram: str
) -> dict[str, Any]:
    """The content of check_dataset_result.json; paths are relative to its folder."""
    attributes: dict[str, Any] = {"num_classes": len(report.labels)}
    for split, dataset in report.datasets.items():
        attributes[f"{split}_samples"] = len(dataset.images)
        attributes[f"{split}_sample_paths"] = pictures.get(split, [])
    first = next(iter(report.datasets.values()))
    masks = any(a.has_mask for d in report.datasets.values() for a in d.annotations)
    return {
        "done_flag": True,
        "check_pass": report.passed,
        "attributes": attributes,
        "analysis": {"histogram": histogram},
        "dataset_path": str(first.file),
        "show_type": "image",
        "dataset_type": "COCOInstSegDataset" if masks else "COCODetDataset",
        "classes": report.labels,
        "stats": {split: stats(dataset) for split, dataset in report.datasets.items()},
        "survivors": report.survivors,
        "problem_counts": [
            {"severity": s, "kind": k, "file": f, "count": n}
            for (s, k, f), n in report.problems.counts.items()
        ],
        "problems": report.problems.to_dicts(),
    }


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
            label=_NAMES[split],
            color=colours[k % 3],
        )
    axes.set_xticks(range(len(names)), names)
    if len(names) > 6:
        axes.tick_params("x", rotation=60)
    axes.set_ylabel("annotations")
    axes.spines[["top", "right"]].set_visible(False)
    if len(sets) > 1:
        axes.legend(frameon=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(file, force=True) as part:
        figure.savefig(part, dpi=120)


def write_report(
    report: Report, output: str | Path, *, count: int = 6, draw: bool = True
) -> Path:
    """Writes the report; one of an earlier check is replaced.

    Args:
        report: What `check` found.
        output: The folder: it gets check_dataset_result.json and a folder check_dataset with the pictures
            and index.html.
        count: How many images of each split to draw.
        draw: Whether to draw images and the histogram at all.

    Returns:
        The HTML page.
    """
    output = Path(output)
    pictures: dict[str, list[str]] = {}
    histogram = output / "check_dataset" / "histogram.png"
    if draw:
        for split, dataset in report.datasets.items():
            files = samples(
                dataset, output / "check_dataset" / "demo_img" / split, count
            )
            pictures[split] = [f.relative_to(output).as_posix() for f in files]
        draw_histogram(report.datasets, histogram)
    content = result(report, pictures, "check_dataset/histogram.png" if draw else "")
    file = output / "check_dataset_result.json"
    with written_whole(file, force=True) as part:
        part.write_text(
            json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8"
        )
    page = output / "check_dataset" / "index.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(page, force=True) as part:
        part.write_text(_page(report, content), encoding="utf-8")
    return page


_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: 1rem 0 } td, th { padding: .25rem .75rem; text-align: left;
border-bottom: 1px solid #ddd; vertical-align: top } td.n { text-align: right }
.error { color: #b00020; font-weight: 600 } .warning { color: #8a5a00 } .note { color: #555 }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(18rem, 1fr)); gap: 1rem }
img { max-width: 100%; height: auto }
@media (prefers-color-scheme: dark) { body { background: #181818; color: #ddd } .error { color: #ff8a80 }
.warning { color: #ffcc80 } .note { color: #aaa } td, th { border-color: #444 } }
"""


def _rows(rows: list[list[object]], head: list[str]) -> str:
    out = "<tr>" + "".join(f"<th>{escape(h)}</th>" for h in head) + "</tr>"
    for row in rows:
        cells = "".join(
            f'<td class="n">{cell}</td>'
            if isinstance(cell, (int, float))
            else f"<td>{escape(str(cell))}</td>"
            for cell in row
        )
        out += f"<tr>{cells}</tr>"
    return f"<table>{out}</table>"


def _page(report: Report, content: dict[str, Any]) -> str:
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>Data set check</title>",
        f"<meta name='viewport' content='width=device-width'><style>{_STYLE}</style>",
        f"<h1>{escape(content['dataset_path'])}</h1>",
        f"<p class='{'note' if report.passed else 'error'}'>"
        + (
            "Check passed."
            if report.passed
            else "Check failed: the errors would spoil training."
        )
        + f" {report.problems.number('error')} errors, {report.problems.number('warning')} warnings.</p>",
    ]
    for split, values in content["stats"].items():
        rows = [[name, *row.values()] for name, row in values["classes"].items()]
        parts.append(
            f"<h2>{_NAMES[split].capitalize()} set</h2><p>{values['images']} images, "
            f"{values['annotations']} annotations</p>"
        )
        head = [
            "class",
            "annotations",
            "images",
            "small",
            "medium",
            "large",
            "median area (px²)",
        ]
        parts.append(_rows(rows, head))
    if content["analysis"]["histogram"]:
        parts.append(
            "<img src='histogram.png' alt='Annotations of each class by split'>"
        )
    if report.survivors:
        rows = [
            [
                n,
                r["annotations"],
                r["kept"],
                "; ".join(f"{k} {why}" for why, k in r["lost"].items()),
            ]
            for n, r in report.survivors["classes"].items()
        ]
        parts.append(f"<h2>What training {escape(report.survivors['model'])} sees</h2>")
        parts.append(_rows(rows, ["class", "annotations", "reach the loss", "lost"]))
    parts.append("<h2>Problems</h2>")
    if not report.problems.items:
        parts.append("<p>None.</p>")
    for (severity, kind, file), n in report.problems.counts.items():
        shown = [
            p
            for p in report.problems.of_kind(kind)
            if (p.severity, p.file) == (severity, file)
        ]
        rows = [[p.item, p.message, p.remedy] for p in shown]
        parts.append(
            f"<details><summary class='{severity}'>{severity}: {escape(kind)} ({n}) in {escape(file)}"
            f"</summary>{_rows(rows, ['item', 'what', 'remedy'])}</details>"
        )
    for split, paths in (
        (s, content["attributes"][f"{s}_sample_paths"]) for s in report.datasets
    ):
        if paths:
            parts.append(
                f"<h2>Images of the {_NAMES[split]} set</h2><div class='grid'>"
            )
            for path in paths:
                name = escape(path.removeprefix("check_dataset/"), quote=True)
                parts.append(f'<figure><img src="{name}" alt="{name}"></figure>')
            parts.append("</div>")
    return "\n".join(parts) + "\n</html>\n"
