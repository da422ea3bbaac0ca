"""The settings of the platform's form: which options of cvtk they are, and how their values are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cvtk.declare import Declared, declarations
from cvtk.errors import OptionError
from cvtk.options import PredictOptions, TrainOptions

# By kind of task, the options that the form has.
FORM: dict[str, tuple[type[Any], tuple[str, ...]]] = {
    "training": (
        TrainOptions,
        (
            "epoch",
            "batch_size",
            "image_size",
            "lr",
            "weights",
            "early_stop",
            "amp",
            "num_workers",
            "seed",
        ),
    ),
    "mining": (PredictOptions, ("batch_size",)),
    "infer": (PredictOptions, ("score", "top_k", "batch_size")),
}
# What words of the form mean yes and no; YAML reads some of them itself.
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def is_true(value: Any) -> bool:
    """Whether a value means yes, as YAML or as the platform's form has it."""
    return _WORDS.get(str(value).lower(), False)


def form(job: str) -> list[Declared]:
    """The options that the form of a kind of task has, in its order."""
    options, names = FORM[job]
    by_name = {declared.name: declared for declared in declarations(options)}
    return [by_name[name] for name in names]


def read_settings(config: dict[str, Any], job: str, file: Path) -> dict[str, Any]:
    """The values of the form; a key that is missing or empty has cvtk's own default.

    Args:
        config: The content of config.yaml. Keys of the platform's own are passed over.
        job: "training", "mining" or "infer".
        file: Where it was read from, for messages.

    Returns:
        A value for each option of the form; for a training also `model`, which may be empty.

    Raises:
        OptionError: A value that cannot be used; the message names the key.
    """
    found: dict[str, Any] = {}
    for declared in form(job):
        given = config.get(declared.name)
        is_given = given is not None and given != ""
        found[declared.name] = _read(declared, given, file) if is_given else None
        if not is_given and not declared.optional:
            found[declared.name] = declared.default
    if job == "training":
        found["model"] = str(config.get("model") or "")
    return found


def _read(declared: Declared, given: Any, file: Path) -> Any:
    value = given
    if declared.base is bool:
        value = _WORDS.get(str(given).lower(), given)
    try:
        return declared.read(value)
    except OptionError:
        raise OptionError(
            f"{file}: {declared.name} cannot be {given!r}.", f"Use {declared.expected}."
        ) from None
