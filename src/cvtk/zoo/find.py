"""Finds architectures by name, by a part of the name, and by what people call them."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Iterable
from pathlib import Path

from cvtk.errors import InstallError, ModelError, did_you_mean, one_line
from cvtk.io import is_file, read_bytes
from cvtk.zoo.elsewhere import answer, elsewhere
from cvtk.zoo.index import Entry, all_entries, catalogue

TASK_WORDS = {"segm": "instance segmentation", "det": "object detection"}

# What is written short in MMDetection's names -> the words that people search for.
_BACKBONES = {"r": "resnet", "s": "resnest", "x": "resnext"}
_WORDS = {
    r"m?dconv|dcn": "dcn deformable convolution",
    r"[_-]ws[_-]": "weight standardization",
    r"[_-]gn[_-]": "group normalization",
}


# What the configuration of a model with masks contains.
_MASK_PARTS = r"mask_head|with_mask|mask_feature"


def find(model: str, task: str | None = None) -> Entry:
    """The one architecture that a user means.

    Args:
        model: A name of the catalogue, a unique part of one, or the path of a configuration file.
        task: `segm` or `det`; with it, only models for that task are meant.

    Returns:
        The entry. For a file outside the catalogue: `listed=False`, and the task asked for (or a guess).

    Raises:
        ModelError: No model, more than one, or one for another task; the message names the near ones.
        InstallError: MMDetection is not installed.
    """
    try:
        path = Path(model).expanduser()
    except RuntimeError:  # `~name` of nobody
        path = Path(model)
    if path.suffix == ".py" and is_file(path):
        return _of_file(path.resolve(), task)
    if path.suffix == ".py" and len(path.parts) > 1:
        raise ModelError(
            f"There is no configuration file {model}.",
            "Check the path given as --model.",
        )
    wanted = model.strip().removesuffix(".py")
    letters = _letters(wanted)
    if not letters:
        raise ModelError(f"{model!r} names no model.", _browse(task))
    entries = all_entries()
    exact = [entry for entry in entries if wanted in _names(entry)]
    if not exact:
        exact = [e for e in entries if letters in map(_letters, _names(e))]
    if exact:
        return _for_task(exact, task, model)
    foreign = elsewhere(model)
    if foreign is not None:
        raise ModelError(f"There is no model {model!r}.", answer(foreign))
    possible = [e for e in entries if e.task != "other" and task in (None, e.task)]
    sharing = [e for e in possible if any(letters in _letters(n) for n in _names(e))]
    # Files outside the index are seldom meant by a part of a name: only where nothing else has it.
    sharing = [entry for entry in sharing if entry.listed] or sharing
    if len(sharing) == 1:
        return sharing[0]
    if sharing:
        raise ModelError(
            f"{len(sharing)} models share the name {model!r}: {_some(sharing)}.",
            _browse(task, wanted),
        )
    raise ModelError(f"There is no model {model!r}.", _hint(model, possible, task))


def _names(entry: Entry) -> tuple[str, ...]:
    """All names that mean an entry."""
    return (entry.name, *entry.aliases)


def search(
    query: str = "",
    task: str | None = None,
    family: str | None = None,
    max_params: float | None = None,
    max_memory: float | None = None,
    batch_size: int = 4,
) -> list[Entry]:
    """The models of the catalogue that fit.

    Args:
        query: Words that must all occur in the name, family or usual names (`Mask R-CNN resnet-50`); case,
            hyphens and spaces do not matter.
        task: `segm` or `det`.
        family: Part of the family's name.
        max_params: Most parameters, in millions; a model whose number is unknown does not fit.
        max_memory: Most GPU memory in GB for training, estimated from the published training; a model of
            which it is unknown does not fit.
        batch_size: Images per step that `max_memory` is meant for.

    Returns:
        Entries, best mask AP (segmentation), then best box AP (detection) first; among them those first whose
        family or method is exactly what was asked for.

    Raises:
        InstallError: MMDetection is not installed.
    """
    whole = _letters(query)
    # "Mask R-CNN C4" is three words; "MaskRCNN-ResNet50-FPN" is three as well, only joined in another way.
    readings = [
        [_letters(w) for w in re.split(cut, query) if _letters(w)]
        for cut in (r"[\s,]+", r"[\s,_-]+")
    ]

    def fits(entry: Entry) -> bool:
        text, memory = _searchable(entry), entry.memory_with(batch_size)
        return (
            (whole in text or any(all(w in text for w in words) for words in readings))
            and task in (None, entry.task)
            and (family is None or _letters(family) in _letters(entry.family))
            and _at_most(entry.params, max_params)
            and _at_most(memory, max_memory)
        )

    found = [entry for entry in catalogue() if fits(entry)]
    if whole:
        # Of files that the index leaves out no AP is known; who names them shall still find them.
        unlisted = [e for e in all_entries() if not e.listed and e.task != "other"]
        found += [entry for entry in unlisted if fits(entry)]
    # "Mask R-CNN" is part of "Cascade Mask R-CNN" too: what bears just this name comes first.
    return sorted(
        found,
        key=lambda e: whole not in (_letters(e.family), _letters(e.name.split("_")[0])),
    )


def _at_most(value: float | None, limit: float | None) -> bool:
    """Whether a value keeps a limit; without a limit every one does, and an unknown one keeps none."""
    return limit is None or (value is not None and value <= limit)


def _letters(text: str) -> str:
    """The letters and digits alone, in lower case: `Mask R-CNN` and `mask-rcnn` become the same."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _searchable(entry: Entry) -> str:
    """All names that an entry may be searched by, letters and digits alone, in one line."""
    name = f"_{entry.name}_"
    usual = [
        _BACKBONES[kind] + depth
        for kind, depth in re.findall(r"[_-]([rsx])(\d{2,3})(?=[_-])", name)
    ]
    usual += [words for pattern, words in _WORDS.items() if re.search(pattern, name)]
    parts = (entry.name, entry.family, entry.config.parent.name, *entry.aliases, *usual)
    return " ".join(_letters(p) for p in parts)


def _for_task(entries: list[Entry], task: str | None, model: str) -> Entry:
    """The entry among those of one name that is for the task."""
    trained = [e for e in entries if e.task != "other" or not e.listed]
    if not trained:
        near = [e for e in catalogue() if task in (None, e.task)]
        raise ModelError(
            f"{model} is for a task that cvtk does not train (tracking, panoptic segmentation, ...).",
            _hint(model, near, task),
        )
    for entry in trained:
        # The task of a file outside the index is a guess, and the user knows better.
        if not entry.listed:
            return dataclasses.replace(entry, task=task or entry.task)
        if task in (None, entry.task):
            return entry
    asked, own = str(task), trained[0].task  # without a task the first would have done
    near = [entry for entry in catalogue() if entry.task == asked]
    raise ModelError(
        f"{model} is a model for {TASK_WORDS[own]}, not for {TASK_WORDS[asked]}.",
        f"Use --task {own}. {_hint(model, near, task)}",
    )


def _of_file(path: Path, task: str | None) -> Entry:
    """A configuration file of the user's own, or one of MMDetection's by its path."""
    try:
        for entry in all_entries():
            if entry.config.samefile(path) and task in (None, entry.task):
                return entry
    except (InstallError, OSError):
        pass  # the file is there: reading it is another step's work
    text = read_bytes(path).decode("utf-8", "replace")
    try:
        ast.parse(text)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        raise ModelError(
            f"{path}, line {line}: this is not a configuration, which is Python ({one_line(error)}).",
            "Mend the file.",
        ) from None
    has_masks = "mask" in path.stem or re.search(_MASK_PARTS, text)
    guess = "segm" if has_masks else "det"
    return Entry(path.stem, path.parent.name, task or guess, path, listed=False)


def _hint(model: str, entries: Iterable[Entry], task: str | None) -> str:
    """What to try instead of a name that is none."""
    names = [entry.name for entry in entries]
    as_written = did_you_mean(model, names)
    close = as_written or did_you_mean(model.lower().replace(" ", "-"), names)
    return f"{close} {_browse(task)}".strip()


def _some(entries: list[Entry]) -> str:
    """A few names, the shortest first (those are the plain ones)."""
    names = sorted((e.name for e in entries), key=lambda n: (len(n), n))
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def _browse(task: str | None, query: str = "") -> str:
    words = ["cvtk models"]
    if task:
        words.append(f"--task {task}")
    if query:
        words.append(f'"{query}"')
    return f"See all with: {' '.join(words)}"
