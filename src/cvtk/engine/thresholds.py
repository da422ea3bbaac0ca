"""The scores to cut at, as weights hold them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from cvtk.analysis.thresholds import Thresholds, from_plain
from cvtk.data import Dataset
from cvtk.engine.spec import ModelSpec
from cvtk.engine.weights import read_weights
from cvtk.io import atomic_write, sha256_of
from cvtk.log import logger

KEY = "cvtk_thresholds"
"""Where they are in the `meta` of a checkpoint, as plain data."""


def keep(chosen: Thresholds, spec: ModelSpec) -> None:
    """Writes scores into the weights of a model."""
    import torch

    assert spec.weights is not None
    content = read_weights(spec.weights, spec.trust_weights)
    meta = content.get("meta")
    content["meta"] = {
        **(meta if isinstance(meta, dict) else {}),
        KEY: chosen.to_plain(),
    }
    with atomic_write(Path(spec.weights), force=True) as part:
        torch.save(content, part)


def thresholds_on(chosen: Thresholds | None, truth: Dataset) -> Thresholds | None:
    """The scores of a model, with a warning where they were chosen on the set that is to be evaluated."""
    if chosen is None or chosen.sha256 != sha256_of(str(truth.file)):
        return chosen
    note = "The scores to cut at were chosen on this very set: expect lower precision, recall and F1 on other images."
    return replace(chosen, notes=[*chosen.notes, note])


def stored_thresholds(checkpoint: dict[str, Any], spec: ModelSpec) -> Thresholds | None:
    """The scores that a checkpoint holds; None without, and with a warning where they cannot be used."""
    meta = checkpoint.get("meta")
    plain = meta.get(KEY) if isinstance(meta, dict) else None
    if plain is None:
        return None
    try:
        return from_plain(plain, spec.classes)
    except ValueError as error:
        logger.warning(
            f"The scores to cut at in {spec.weights} cannot be used ({error}): give one with --score."
        )
        return None
