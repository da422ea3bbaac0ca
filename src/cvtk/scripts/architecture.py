"""What the text of a configuration tells of an architecture, without importing MMDetection."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from cvtk.declare import Declared
from cvtk.options import settings


def fitting_settings(config: Path | None) -> list[Declared]:
    """The settings that an architecture has.

    Args:
        config: Its file; None where it is not known, and all settings are offered.
    """
    found = settings()
    if config is None:
        return found
    sources = list(_sources(config, set()))
    missing = set()
    if not any("frozen_stages" in source for source in sources):
        missing.add("frozen_stages")
    schedules = [_assignment(source, "param_scheduler") for source in sources]
    schedule = next((text for text in schedules if text), "")
    if "milestones" not in schedule:
        missing |= {"decay_epochs", "decay_factor"}
    if "LinearLR" not in schedule:
        missing.add("warmup")
    return [declared for declared in found if declared.name not in missing]


def _sources(config: Path, seen: set[Path]) -> Iterator[str]:
    """The text of a configuration, and of those that it is based on, the nearest first."""
    config = config.resolve()
    if config in seen or not config.is_file():
        return
    seen.add(config)
    text = config.read_text(encoding="utf-8", errors="replace")
    yield text
    base = _assignment(text, "_base_")
    try:
        names = ast.literal_eval(base) if base else []
    except ValueError:
        names = []
    for name in [names] if isinstance(names, str) else names:
        yield from _sources(config.parent / name, seen)


def _assignment(source: str, name: str) -> str:
    """What a configuration assigns to a name, as text; empty where it does not."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return ""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.unparse(node.value)
    return ""
