"""Any key of a configuration, set by the user as KEY=VALUE."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Sequence
from typing import Any

from cvtk.errors import OptionError

# What names the files of a training has an option of its own.
HAS_AN_OPTION = {
    "work_dir": "--output_weights",
    "resume": "--resume",
    "load_from": "--weights",
    "randomness.seed": "--seed",
}
WORDS = {"true": True, "false": False, "none": None}


def apply_overrides(cfg: dict[str, Any], pairs: Sequence[str]) -> None:
    """Sets keys as in "optim_wrapper.optimizer.lr=0.01"; "+KEY=VALUE" adds one that is not there yet.

    Args:
        cfg: The configuration; changed in place.
        pairs: In their order; the last one about a key counts.

    Raises:
        OptionError: A key that does not exist, or a value that cannot be; all such are named at once.
    """
    problems = []
    for pair in pairs:
        try:
            apply_override(cfg, pair)
        except ValueError as problem:
            problems.append(f"--set {pair}: {problem}")
    if problems:
        raise OptionError("\n".join(problems))


def apply_override(cfg: dict[str, Any], pair: str) -> None:
    """Sets one key; raises ValueError, with what is wrong, where that is not possible."""
    path, _, text = pair.removeprefix("+").partition("=")
    if path in HAS_AN_OPTION:
        raise ValueError(f"use {HAS_AN_OPTION[path]}.")
    value = parse_value(text)
    *parents, last = path.split(".")
    node: Any = cfg
    for name in parents:
        if pair.startswith("+") and isinstance(node, dict) and node.get(name) is None:
            node[name] = {}
        node = node[existing_key(node, name)]
    if pair.startswith("+") and isinstance(node, dict):
        node.setdefault(last, None)
    key = existing_key(node, last)
    if node is cfg and isinstance(node[key], dict) and not isinstance(value, dict):
        raise ValueError(f"{key!r} holds settings; set one of them, as in {key}.KEY.")
    node[key] = value


def existing_key(node: Any, name: str) -> str | int:
    """The key of a dict, or the place in a list, that a part of a path means."""
    keys: dict[str, str | int] = {}
    if isinstance(node, dict):
        keys = {str(key): key for key in node}
    elif isinstance(node, list):
        keys = {str(index): index for index in range(len(node))}
    if name in keys:
        return keys[name]
    nearest = difflib.get_close_matches(name, keys, n=1, cutoff=0)
    hint = f"the nearest is {nearest[0]!r}." if nearest else "it has no parts."
    raise ValueError(f"there is no {name!r}; {hint}")


def parse_value(text: str) -> Any:
    """A Python literal, true, false, none, items with commas between them, or a text."""
    text = text.strip()
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        if text.startswith(("[", "(", "{")):
            raise ValueError(
                f"{text} is not a list that Python can read; put texts in quotes."
            ) from None
        return text
    is_bare = isinstance(value, tuple) and not text.startswith("(")
    return list(value) if is_bare else value
