"""What an evaluation leaves in a folder, and how it is read again."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cvtk.analysis.comparison import Rival
from cvtk.analysis.fold_thresholds import fold_thresholds
from cvtk.analysis.thresholds import Thresholds
from cvtk.data.types import Id
from cvtk.errors import DataError, FileError
from cvtk.io import is_file, read_text

STATS, PREDICTIONS = "test_stats.json", "test_outputs.coco.json"


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation left in a folder.

    Attributes:
        rival: The predictions, and the scores to cut at.
        file: The annotated set, as it was named; None where that is not known.
        groups: Ids of images that belong together, a list for each group of two or more.
    """

    rival: Rival
    file: str | None
    groups: list[list[Id]]


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
    return Evaluated(rival, _evaluated_on(stats), _groups(stats))


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


def _groups(stats: Any) -> list[list[Id]]:
    """Which images belong together, from the statistics of an evaluation."""
    groups = stats.get("groups") if isinstance(stats, dict) else None
    if not isinstance(groups, list):
        return []
    return [ids for ids in groups if _are_ids(ids)]


def _cuts(stats: Any) -> Thresholds | None:
    """The scores to cut at of an evaluation, from its statistics; of a cross-validation those of each fold."""
    if not isinstance(stats, dict):
        return None
    if _are_scores(stats.get("cut_at")):
        return Thresholds(stats["cut_at"], 0.0, [])
    folds = stats.get("folds")
    if not (isinstance(folds, list) and all(isinstance(fold, dict) for fold in folds)):
        return None
    parts: list[Any] = [(fold.get("image_ids"), fold.get("cut_at")) for fold in folds]
    if not all(_are_ids(ids) and _are_scores(scores) for ids, scores in parts):
        return None
    if len({frozenset(scores) for _, scores in parts}) != 1:
        return None
    return fold_thresholds(parts, [])


def _are_ids(value: Any) -> bool:
    return isinstance(value, list) and all(type(id_) in (int, str) for id_ in value)


def _are_scores(value: Any) -> bool:
    return isinstance(value, dict) and all(
        type(cut) in (int, float) for cut in value.values()
    )
