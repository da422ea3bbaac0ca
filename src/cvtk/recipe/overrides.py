"""Any key of a configuration, set by the user as KEY=VALUE."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Sequence
from typing import Any

from cvtk.errors import OptionError

# Keys that an option sets, with all that follows from it.
HAS_AN_OPTION = {
    "work_dir": "--output_weights",
    "resume": "--resume",
    "load_from": "--weights",
    "randomness.seed": "--seed",
}


def apply_overrides(cfg: dict[str, Any], pairs: Sequence[str]) -> None:
    """Sets keys as in "optim_wrapper.optimizer.lr=0.01"; "+KEY=VALUE" adds a new one.

    Raises:
        OptionError: Keys that do not exist, or values that cannot be; all are named at once.
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
    """Sets one key; a ValueError says what is wrong where that is not possible."""
    path, equals, text = pair.removeprefix("+").partition("=")
    path = path.strip()
    if not equals:
        raise ValueError("write KEY=VALUE.")
    if path in HAS_AN_OPTION:
        raise ValueError(f"use {HAS_AN_OPTION[path]} instead.")
    value = parse_value(text)
    may_add = pair.startswith("+")
    *parents, last = path.split(".")
    node: Any = cfg
    for name in parents:
        if may_add and isinstance(node, dict) and node.get(name) is None:
            node[name] = {}
        node = node[existing_key(node, name)]
    if may_add and isinstance(node, dict):
        node.setdefault(last, None)
    key = existing_key(node, last)
    switched_off = value is None and node is not cfg
    if isinstance(node[key], dict) and not (isinstance(value, dict) or switched_off):
        raise ValueError(f"{key!r} holds settings; set one of them: {path}.KEY=VALUE.")
    node[key] = value


def existing_key(node: Any, name: str) -> str | int:
    """The key of a dict, or the index of a list, that one name of a path stands for."""
    keys: dict[str, str | int] = {}
    if isinstance(node, dict):
        keys = {str(key): key for key in node}
    elif isinstance(node, list):
        keys = {str(index): index for index in range(len(node))}
    if name in keys:
        return keys[name]
    nearest = difflib.get_close_matches(name, keys, n=1, cutoff=0)
    hint = f"the nearest is {nearest[0]!r}." if nearest else "nothing is inside."
    raise ValueError(f"there is no {name!r}; {hint}")


def parse_value(text: str) -> Any:
    """A Python literal; or, as in MMEngine, true, false, and words without quotes."""
    text = text.strip()
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return parse_words(text)
    is_bare = isinstance(value, tuple) and not text.startswith("(")
    return list(value) if is_bare else value


def parse_words(text: str) -> Any:
    """A word, or a list of words and numbers: [bbox, segm] or bbox,segm."""
    inner = text
    if text.startswith("[") and text.endswith("]"):
        inner = text[1:-1]
    if inner.startswith(("[", "(", "{")) or (inner != text and "[" in inner):
        raise ValueError(
            f"Python cannot read {text}; close the brackets, and put words in quotes."
        )
    if inner != text or "," in inner:
        return [parse_value(word) for word in inner.split(",")]
    return text
