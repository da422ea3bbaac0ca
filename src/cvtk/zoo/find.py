"""Finds architectures by name, by parts of a name and by what a user calls them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from pathlib import Path

from cvtk.errors import InstallError, ModelError, did_you_mean
from cvtk.zoo.index import Entry, catalogue, everything

TASK_WORDS = {"segm": "instance segmentation", "det": "object detection"}

# What is written short in MMDetection's names -> the words under which people look for it.
_BACKBONES = {"r": "resnet", "s": "resnest", "x": "resnext"}
_WORDS = {
    r"m?dconv|dcn": "dcn deformable convolution",
    r"[_-]ws[_-]": "weight standardization",
    r"[_-]gn[_-]": "group normalization",
}


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
    path = Path(model).expanduser()
    if path.suffix == ".py" and path.is_file():
        return _of_file(path.resolve(), task)
    if path.suffix == ".py" and len(path.parts) > 1:
        raise ModelError(
            f"There is no configuration file {model}.",
            "Check the path given as --model.",
        )
    entries = everything()
    wanted = model.strip().removesuffix(".py")
    squeezed = _squeeze(wanted)
    if not squeezed:
        raise ModelError(f"{model!r} names no model.", _browse(task))
    exact = [e for e in entries if wanted in (e.name, *e.aliases)]
    exact = exact or [
        e for e in entries if squeezed in map(_squeeze, (e.name, *e.aliases))
    ]
    if exact:
        return _for_task(exact, task, model)
    possible = [e for e in entries if e.task != "other" and task in (None, e.task)]
    # Files outside the index are seldom meant by half a name: only where nothing else has it.
    for group in (
        [e for e in possible if e.listed],
        [e for e in possible if not e.listed],
    ):
        sharing = [
            e
            for e in group
            if any(squeezed in _squeeze(n) for n in (e.name, *e.aliases))
        ]
        if len(sharing) == 1:
            return sharing[0]
        if sharing:
            raise ModelError(
                f"{len(sharing)} models share the name {model!r}: {_some(sharing)}.",
                _browse(task, wanted),
            )
    raise ModelError(f"There is no model {model!r}.", _hint(model, possible, task))


def search(
    query: str = "",
    task: str | None = None,
    family: str | None = None,
    max_params: float | None = None,
    max_memory: float | None = None,
) -> list[Entry]:
    """The models of the catalogue that fit.

    Args:
        query: Words that must all occur in the name, family or usual names (`Mask R-CNN resnet-50`); case,
            hyphens and spaces do not matter.
        task: `segm` or `det`.
        family: Part of the family's name.
        max_params: Most parameters, in millions; a model whose number is unknown does not fit.
        max_memory: Most GPU memory in GB that the published training took; unknown does not fit.

    Returns:
        Entries, best mask AP (segmentation), then best box AP (detection) first; among them those first whose
        family or method is exactly what was asked for.

    Raises:
        InstallError: MMDetection is not installed.
    """
    whole = _squeeze(query)
    # "Mask R-CNN C4" is three words; "MaskRCNN-ResNet50-FPN" is three as well, only joined in another way.
    readings = [
        [_squeeze(w) for w in re.split(cut, query) if _squeeze(w)]
        for cut in (r"[\s,]+", r"[\s,_-]+")
    ]
    found = []
    # Files that the index leaves out have no figures; who names them shall still find them.
    unlisted = (
        [e for e in everything() if not e.listed and e.task != "other"] if whole else []
    )
    for entry in [*catalogue(), *unlisted]:
        text = _text(entry)
        if (
            (whole in text or any(all(w in text for w in words) for words in readings))
            and task in (None, entry.task)
            and (family is None or _squeeze(family) in _squeeze(entry.family))
            and (
                max_params is None
                or (entry.params is not None and entry.params <= max_params)
            )
            and (
                max_memory is None
                or (entry.memory_gb is not None and entry.memory_gb <= max_memory)
            )
        ):
            found.append(entry)
    # "Mask R-CNN" is part of "Cascade Mask R-CNN" too: what bears just this name comes first.
    return sorted(
        found,
        key=lambda e: whole not in (_squeeze(e.family), _squeeze(e.name.split("_")[0])),
    )


def _squeeze(text: str) -> str:
    """Letters and digits alone, in lower case: `Mask R-CNN` and `mask-rcnn` become the same."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _text(entry: Entry) -> str:
    """All that an entry may be looked for by, squeezed, in one line."""
    name = f"_{entry.name}_"
    usual = [
        _BACKBONES[kind] + depth
        for kind, depth in re.findall(r"[_-]([rsx])(\d{2,3})(?=[_-])", name)
    ]
    usual += [words for pattern, words in _WORDS.items() if re.search(pattern, name)]
    parts = (entry.name, entry.family, entry.config.parent.name, *entry.aliases, *usual)
    return " ".join(_squeeze(p) for p in parts)


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
    entry = trained[0]
    assert task is not None
    raise ModelError(
        f"{model} is a model for {TASK_WORDS[entry.task]}, not for {TASK_WORDS[task]}.",
        f"Use --task {entry.task}. {_hint(model, [e for e in catalogue() if e.task == task], task)}",
    )


def _of_file(path: Path, task: str | None) -> Entry:
    """A configuration file of the user's own, or one of MMDetection's by its path."""
    try:
        for entry in everything():
            if entry.config.samefile(path) and task in (None, entry.task):
                return entry
    except (InstallError, OSError):
        pass  # the file is there: reading it is another step's work
    guess = "det"
    if "mask" in path.stem or re.search(
        r"mask_head|with_mask|mask_feature", path.read_text("utf-8", "replace")
    ):
        guess = "segm"
    return Entry(path.stem, path.parent.name, task or guess, path, listed=False)


def _hint(model: str, entries: Iterable[Entry], task: str | None) -> str:
    """What to try instead of a name that is none."""
    from cvtk.zoo.paddle import equivalents, paddle_model

    known = paddle_model(model)
    if known is not None:
        near = " or ".join(e.name for e in equivalents(known, n=2))
        return (
            f"{known.name} exists only in Paddle; near it in mask AP and size: {near}."
        )
    names = [e.name for e in entries]
    close = did_you_mean(model, names) or did_you_mean(
        model.lower().replace(" ", "-"), names
    )
    return f"{close} {_browse(task)}".strip()


def _some(entries: list[Entry]) -> str:
    """A few names, the shortest first (those are the plain ones)."""
    names = sorted((e.name for e in entries), key=lambda n: (len(n), n))
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def _browse(task: str | None, query: str = "") -> str:
    words = [
        "cvtk models",
        *([f"--task {task}"] if task else []),
        *([f'"{query}"'] if query else []),
    ]
    return f"See all with: {' '.join(words)}"
