"""The one place that opens what predicts: trained weights, or an exported file."""

from __future__ import annotations

from cvtk.engine.exported import ExportedPredictor
from cvtk.engine.predict import Predictor
from cvtk.engine.spec import ModelSpec
from cvtk.engine.streaming import AnyPredictor


def open_predictor(spec: ModelSpec, device: str) -> AnyPredictor:
    """A model, ready to predict.

    Args:
        spec: A model with weights, or of an exported file.
        device: "auto", "cpu" or "cuda:0".

    Raises:
        ModelError: It has no weights yet, or they cannot be used.
    """
    if spec.is_exported:
        return ExportedPredictor(spec, device)
    return Predictor(spec, device)
