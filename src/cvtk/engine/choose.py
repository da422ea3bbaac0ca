"""Chooses the scores to cut at on the validation set, after a training."""

from __future__ import annotations

from dataclasses import replace

from cvtk.analysis.aims import read_aim
from cvtk.analysis.study import matches_of
from cvtk.analysis.thresholds import choose_thresholds
from cvtk.data import Dataset
from cvtk.engine.evaluate import predict_all
from cvtk.engine.predict import Predictor
from cvtk.engine.thresholds import keep
from cvtk.io import sha256_of
from cvtk.log import logger


def choose_and_keep(predictor: Predictor, valid: Dataset, aim: str) -> None:
    """Chooses the scores on the validation set, and writes them into the weights; says what they bring.

    Where that fails it says so: the weights are written already, and the default score holds.

    Args:
        predictor: The trained model.
        valid: The validation set, checked.
        aim: What for, as `read_aim` takes it.
    """
    try:
        predictions = predict_all(predictor, valid)
        matches = matches_of(valid, predictions, predictor.spec.kind)
        chosen = choose_thresholds(matches, read_aim(aim))
        if not chosen.file:
            logger.info(chosen.notes[0])
            return
        chosen = replace(chosen, sha256=sha256_of(str(valid.file)))
        keep(chosen, predictor.spec)
    except Exception as error:  # whatever it is: hours of training must not end in it
        reason = str(error) or type(error).__name__
        logger.warning(
            f"No score to cut at could be chosen on {valid.file} ({reason}): give one with --score."
        )
        return
    predictor.network.thresholds = chosen
    logger.info(f"Scores to cut at, which inference will use: {chosen.words()}.")
    for note in chosen.notes:
        logger.info(note)
