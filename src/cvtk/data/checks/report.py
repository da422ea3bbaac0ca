"""What `check` leaves behind: check_dataset_result.json, sample images, a histogram, and one HTML page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cvtk.data.checks.checkup import Report
from cvtk.data.checks.histogram import SPLIT_NAMES, draw_histogram
from cvtk.data.checks.problems import Key
from cvtk.data.show import samples
from cvtk.data.stats import class_table, stats
from cvtk.extras import can_draw
from cvtk.io import atomic_write, templates_folder

HISTOGRAM = "check_dataset/histogram.png"


def summary(report: Report, *, most: int = 3) -> str:
    """The report as text: a table of classes, then each kind of problem with a few examples."""
    lines = [class_table(report.datasets), ""]
    for key, n in sorted_counts(report):
        severity, kind, file = key
        lines.append(f"{severity:7}  {kind}: {n} in {file}")
        if severity == "note":
            continue
        shown = report.problems.of_key(key)[:most]
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


def sorted_counts(report: Report) -> list[tuple[Key, int]]:
    """How often each kind of problem occurs in each file, errors first."""
    order = ("error", "warning", "note")
    return sorted(
        report.problems.counts.items(), key=lambda pair: order.index(pair[0][0])
    )


def survivors_lines(survivors: dict[str, Any]) -> list[str]:
    """What reaches the loss, as text."""
    if not survivors:
        return []
    size = (
        f" at --image_size {survivors['image_size']}" if survivors["image_size"] else ""
    )
    tried = (
        f"What training {survivors['model']}{size} sees of {survivors['images']} images"
    )
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
    if draw:
        for split, dataset in report.datasets.items():
            files = samples(
                dataset, output / "check_dataset" / "demo_img" / split, count
            )
            pictures[split] = [f.relative_to(output).as_posix() for f in files]
    has_histogram = draw and can_draw("The histogram is")
    if has_histogram:
        draw_histogram(report.datasets, output / HISTOGRAM)
    content = result(report, pictures, HISTOGRAM if has_histogram else "")
    file = output / "check_dataset_result.json"
    with atomic_write(file, force=True) as part:
        part.write_text(
            json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8"
        )
    page = output / "check_dataset" / "index.html"
    with atomic_write(page, force=True) as part:
        part.write_text(_page(report, content), encoding="utf-8")
    return page


def _page(report: Report, content: dict[str, Any]) -> str:
    """The report as HTML."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates_folder()),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    template = environment.get_template("check.html.j2")
    found = [
        (key, count, report.problems.of_key(key))
        for key, count in sorted_counts(report)
    ]
    return template.render(
        report=report, content=content, found=found, names=SPLIT_NAMES
    )
