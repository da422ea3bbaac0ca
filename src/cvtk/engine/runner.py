"""MMEngine's Runner: its log goes to the file alone, and a checkpoint's name appears when it is whole."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from mmengine import dist
from mmengine.logging import MMLogger
from mmengine.runner import Runner


class TrainingRunner(Runner):  # type: ignore[misc]
    """A Runner that is quiet, and safe to kill at any moment."""

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """MMEngine's logger, without what it would show on the console."""
        logger = super().build_logger(*args, **kwargs)
        for handler in list(logger.handlers):
            if type(handler) is logging.StreamHandler:
                logger.removeHandler(handler)
        return logger

    def save_checkpoint(
        self, out_dir: str, filename: str, *args: Any, **kwargs: Any
    ) -> None:
        """Writes a checkpoint beside its name, and renames it when it is whole."""
        part = f"{filename}.part"
        super().save_checkpoint(out_dir, part, *args, **kwargs)
        if dist.is_main_process():
            Path(out_dir, part).replace(Path(out_dir, filename))
