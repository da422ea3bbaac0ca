"""MMEngine's Runner: its log goes to the file alone, and a checkpoint's name appears when it is whole."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from mmdet.visualization import DetLocalVisualizer
from mmengine import dist
from mmengine.logging import MMLogger
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from cvtk.errors import CvtkError, ModelError, one_line

START_ANEW = "Use the options of that training, or start anew: with force=True and without resume=True."


class TrainingRunner(Runner):  # type: ignore[misc]
    """A Runner that is quiet, and safe to kill at any moment.

    Attributes:
        newest: The name of the newest checkpoint to resume from, and the steps before it.
    """

    newest: tuple[str, int] | None = None

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """MMEngine's logger, without what it would show on the console."""
        logger = super().build_logger(*args, **kwargs)
        for handler in list(logger.handlers):
            if type(handler) is logging.StreamHandler:
                logger.removeHandler(handler)
        return logger

    def build_visualizer(self, *args: Any, **kwargs: Any) -> Any:
        """MMEngine's, which is one for all: a second training would write to the first one's folder."""
        DetLocalVisualizer._instance_dict.clear()
        return super().build_visualizer(*args, **kwargs)

    def build_optim_wrapper(self, *args: Any, **kwargs: Any) -> Any:
        """MMEngine's optimizer, with its weights in as few groups as their settings need."""
        wrapper = super().build_optim_wrapper(*args, **kwargs)
        merge_groups(wrapper.optimizer)
        return wrapper

    def resume(self, filename: str, *args: Any, **kwargs: Any) -> None:
        """Goes on from a checkpoint of this very training.

        Raises:
            ModelError: It is of another one, or does not hold together.
        """
        try:
            super().resume(filename, *args, **kwargs)
        except CvtkError:
            raise
        except Exception as error:  # what was loaded may hold anything
            raise ModelError(
                f"The training cannot go on from {filename}: {one_line(error)}.",
                START_ANEW,
            ) from None

    def load_checkpoint(
        self, filename: str, *args: Any, **kwargs: Any
    ) -> dict[str, Any]:
        """Loads weights, or a checkpoint to resume from, which must then fit entirely.

        Raises:
            ModelError: A checkpoint to resume from is of another architecture or for other classes.
        """
        checkpoint: dict[str, Any] = super().load_checkpoint(filename, *args, **kwargs)
        if self._resume:
            network = self.model.module if is_model_wrapper(self.model) else self.model
            require_same_parts(network, checkpoint["state_dict"], filename)
            # MMEngine would run such a text as Python; it writes none itself any more.
            checkpoint["meta"].pop("config", None)
        return checkpoint

    def save_checkpoint(
        self, out_dir: str, filename: str, *args: Any, **kwargs: Any
    ) -> None:
        """Writes a checkpoint beside its name, and renames it when it is whole.

        After an epoch that is the best one, MMEngine writes that epoch's checkpoint again, to note so. This takes
        as long as several steps, and a resumed training finds it by itself: it validates first.
        """
        checkpoint = (filename, self.iter)
        if checkpoint == self.newest:
            return
        part = f"{filename}.part"
        super().save_checkpoint(out_dir, part, *args, **kwargs)
        if dist.is_main_process():
            Path(out_dir, part).replace(Path(out_dir, filename))
        if filename.startswith("epoch_"):
            self.newest = checkpoint


def merge_groups(optimizer: Any) -> None:
    """Makes one group of all groups of an optimizer with the same settings.

    MMEngine makes one of each weight where some have settings of their own, such as no decay. Then an optimizer cannot
    treat many at once.
    """
    merged: dict[str, dict[str, Any]] = {}
    for group in optimizer.param_groups:
        settings = {name: value for name, value in group.items() if name != "params"}
        together = merged.setdefault(repr(settings), {"params": [], **settings})
        together["params"] += group["params"]
    optimizer.param_groups[:] = merged.values()


def require_same_parts(network: Any, state: dict[str, Any], file: str) -> None:
    """Checks that weights have exactly the names and shapes of a network's.

    Raises:
        ModelError: They do not.
    """
    own = {name: value.shape for name, value in network.state_dict().items()}
    found = {name: value.shape for name, value in state.items()}
    names = own.keys() | found.keys()
    different = sorted(name for name in names if own.get(name) != found.get(name))
    if different:
        some = " ".join(", ".join(different[:3]).split())[:200]
        raise ModelError(
            f"{file} is of another architecture, or for other classes: {some} differ"
            f" ({len(different)} of {len(own)} parts).",
            START_ANEW,
        )
