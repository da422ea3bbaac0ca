"""Every option, declared once: its name, type, default, range and help.

The dataclasses of this package are the only place that states an option. From them come the `add_argument` calls of both
kinds of script (`cvtk.scripts`), the signatures of `Model.train`, `evaluate`, `predict` and `predict_to_files`, and
the tables in the docs (docs/tables.py). Their objects are also what travels inside: whoever holds one knows that
every value is of its type and in its range.

A new option is one field here, and the code that acts on it.
"""

from __future__ import annotations

from cvtk.declare import Checked, Declared, declarations
from cvtk.options.prediction import (
    EvaluateOptions,
    InferenceOptions,
    NextOptions,
    PredictOptions,
    TrainedModel,
)
from cvtk.options.shared import Images, PathLike, Task
from cvtk.options.training import AIM, USUAL_SHARE, Follower, NewModel, TrainOptions

__all__ = [
    "AIM",
    "COMMANDS",
    "DEFAULT_MODELS",
    "USUAL_SHARE",
    "EvaluateOptions",
    "Follower",
    "Images",
    "InferenceOptions",
    "NewModel",
    "NextOptions",
    "PathLike",
    "PredictOptions",
    "Task",
    "TrainOptions",
    "TrainedModel",
    "command_options",
    "settings",
]

# The architectures of the tutorial, where nobody names one.
DEFAULT_MODELS: dict[str, str] = {
    "segm": "mask-rcnn_r101_fpn_1x_coco",
    "det": "faster-rcnn_r101_fpn_1x_coco",
}

# What each command of a script takes: the parts of its command line, in their order.
COMMANDS: dict[str, tuple[type[Checked], ...]] = {
    "train": (NewModel, TrainOptions),
    "evaluate": (TrainedModel, EvaluateOptions),
    "inference": (TrainedModel, InferenceOptions),
}


def command_options(command: str, mode: str = "helper") -> list[Declared]:
    """The options of a command of the scripts, those first that must be given.

    Args:
        command: "train", "evaluate" or "inference".
        mode: "helper" or "vanilla", the kind of script.
    """
    found = [d for options in COMMANDS[command] for d in declarations(options)]
    shown = [declared for declared in found if declared.option.kind == "option"]
    if mode == "vanilla":
        shown = [d.in_vanilla() for d in shown if d.option.in_vanilla]
    return sorted(shown, key=lambda declared: not declared.required)


def settings() -> list[Declared]:
    """What stands at the head of the helper script."""
    return [d for d in declarations(TrainOptions) if d.option.kind == "setting"]
