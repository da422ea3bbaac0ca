"""What an evaluation leaves in a folder, and how it is read again."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cvtk.analysis.comparison import Rival
from cvtk.analysis.thresholds import Thresholds
from cvtk.errors import DataError, FileError
from cvtk.io import is_file, read_text

STATS, PREDICTIONS = "test_stats.json", "test_outputs.coco.json"


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation left in a folder.

    Attributes:
        rival: The predictions, and the scores to cut at.
        file: The annotated set, as it was named; None where that is not known.
    """

    rival: Rival
    file: str | None


def read_evaluated(path: Path) -> Evaluated:
    """What an evaluation or a training wrote: its folder, its predictions, or weights beside which they lie.

    Raises:
        FileError: There are no predictions.
    """
    folder = path.with_suffix("") if path.suffix == ".pth" else path
    file = path if path.suffix == ".json" else folder / PREDICTIONS
    if not is_file(file):
        raise FileError(
            f"{path}: there is no {file}.",
            "Name a folder that evaluate wrote, or weights with --data FILE.json.",
        )
    predictions = _json(file)
    if not _is_list_of_objects(predictions):
        raise DataError(
            f"{file} is not a list of predictions.",
            f"Name the {PREDICTIONS} of an evaluation.",
        )
    beside = file.parent
    stats: Any = {}
    # That of a training lies beside its workspace.
    for place in (beside / STATS, beside.with_name(f"{beside.name}.{STATS}")):
        if is_file(place):
            stats = _json(place)
            break
    rival = Rival(str(path), predictions, _cuts(stats))
    return Evaluated(rival, _evaluated_on(stats))


def _is_list_of_objects(content: Any) -> bool:
    return isinstance(content, list) and all(isinstance(p, dict) for p in content)


def _json(file: Path) -> Any:
    try:
        return json.loads(read_text(file))
    except (ValueError, RecursionError):
        raise DataError(f"{file} is not JSON.", "Evaluate again.") from None


def _evaluated_on(stats: Any) -> str | None:
    """The annotated set of an evaluation, from its statistics."""
    text = stats.get("computed_on") if isinstance(stats, dict) else None
    if not isinstance(text, str):
        return None
    found = re.fullmatch(r"(.+), \d+ images( in tiles of \d+ pixels)?", text)
    return found[1] if found else None


def _cuts(stats: Any) -> Thresholds | None:
    """The scores to cut at of an evaluation, from its statistics."""
    cuts = stats.get("cut_at") if isinstance(stats, dict) else None
    if not isinstance(cuts, dict):
        return None
    if not all(type(cut) in (int, float) for cut in cuts.values()):
        return None
    return Thresholds(cuts, 0.0, [])
