"""Reads MMDetection's own index of models (`.mim/model-index.yml`), without importing MMDetection."""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from cvtk.errors import InstallError
from cvtk.zoo import cache

# What the index calls a collection, where users search for a finer name: start of the model's name -> family.
_FINER_FAMILIES = {
    ("RTMDet", "rtmdet-ins"): "RTMDet-Ins",
    ("Cascade R-CNN", "cascade-mask-rcnn"): "Cascade Mask R-CNN",
}
# The index names a wrong task for one model of each of these.
_SURE_TASKS = {"faster-rcnn": "det", "mask-rcnn": "segm"}
OWN = Path(__file__).parents[1] / "pose2seg"
"""Where the architecture lies that cvtk brings itself, with an index as MMDetection has it."""
# Configuration files that are pieces of others, not models.
_NOT_MODELS = {"_base_", "common", "dsdl"}


@dataclasses.dataclass(frozen=True)
class Entry:
    """One architecture with its recipe: a configuration file of MMDetection and what is known of it.

    Attributes:
        name: Stem of the configuration file, e.g. `mask-rcnn_r50_fpn_1x_coco`.
        family: Name of the method, e.g. `Mask R-CNN`.
        task: `segm` (masks and boxes), `det` (boxes), or `other` (tracking, panoptic, proposals: not trained
            by cvtk).
        config: Absolute path of the configuration file.
        weights_url: Address of the published checkpoint, None where there is none.
        mask_ap: Published mask AP on `dataset` in per cent, None where unknown.
        box_ap: Published box AP on `dataset` in per cent, None where unknown.
        memory_gb: GPU memory in GB that the published training took, with its `images_per_gpu` and image
            size; None where unknown.
        params: Parameters in millions, None where unknown.
        epochs: Epochs of the published training, None where unknown or counted in iterations.
        paper_title: Title of the paper, `""` where unknown.
        paper_url: Address of the paper, `""` where unknown.
        dataset: The data set that AP is measured on, e.g. `COCO` or `LVIS v1`.
        aliases: Other names that mean this entry (MMDetection's index and file names differ at places).
        listed: Whether MMDetection's index lists it; otherwise only the file is known and `task` is a guess.
    """

    name: str
    family: str
    task: str
    config: Path
    weights_url: str | None = None
    mask_ap: float | None = None
    box_ap: float | None = None
    memory_gb: float | None = None
    params: float | None = None
    epochs: int | None = None
    paper_title: str = ""
    paper_url: str = ""
    dataset: str = ""
    aliases: tuple[str, ...] = ()
    listed: bool = True

    @property
    def ap(self) -> float | None:
        """The AP that ranks it, in per cent: mask AP for `segm`, box AP otherwise."""
        return self.mask_ap if self.task == "segm" else self.box_ap

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON takes them."""
        return {**vars(self), "config": str(self.config), "aliases": list(self.aliases)}

    @property
    def images_per_gpu(self) -> int:
        """Images per step on each GPU in the published training: 32 for `8xb32` in the name, else 2.

        Names leave `8xb2` out, which is MMDetection's usual schedule.
        """
        stated = re.search(r"\d+xb(\d+)", self.name)
        return int(stated[1]) if stated else 2

    def memory_with(self, batch_size: int) -> float | None:
        """GPU memory in GB with so many images per step, in proportion to the published training.

        An estimate, a little too large for larger batches: the weights' share does not grow with the batch.
        """
        if self.memory_gb is None:
            return None
        return self.memory_gb / self.images_per_gpu * batch_size


def entries_of(items: Any) -> tuple[Entry, ...]:
    """The entries that `to_dict` gave the items of, checked field by field.

    Raises:
        ValueError: The items are something else.
    """
    import msgspec

    def to_path(kind: type, value: Any) -> Any:
        if kind is Path and isinstance(value, str):
            return Path(value)
        raise ValueError(f"not a {kind.__name__}: {value!r}")

    return msgspec.convert(items, tuple[Entry, ...], dec_hook=to_path)


def catalogue() -> list[Entry]:
    """All instance segmentation and detection models that MMDetection's index lists.

    Returns:
        Entries sorted by mask AP (segmentation first), then box AP; those without AP come last.

    Raises:
        InstallError: MMDetection is not installed, or has no configuration files.
    """
    entries = [e for e in all_entries() if e.listed and e.task != "other"]
    return sorted(entries, key=lambda e: (e.task != "segm", -(e.ap or 0.0), e.name))


@functools.lru_cache(maxsize=1)
def all_entries() -> tuple[Entry, ...]:
    """All configuration files of the installed MMDetection, also those that cvtk does not train, and cvtk's own.

    Raises:
        InstallError: MMDetection is not installed, or has no configuration files.
    """
    root = _root()
    key = cache.cache_key(root)
    try:
        return entries_of(cache.load(key))
    except ValueError:  # nothing is stored, or it is damaged
        entries = (*read_index(root), *read_index(OWN))
        cache.save(key, [entry.to_dict() for entry in entries])
        return entries


def read_index(root: Path) -> list[Entry]:
    """Reads the index below one folder.

    Args:
        root: Folder that holds `model-index.yml` and `configs/` (mmdet's `.mim`, a source checkout, or `OWN`).

    Returns:
        One entry per configuration file, listed ones first.
    """
    found = sorted((root / "configs").rglob("*.py"))
    files = [path for path in found if not _NOT_MODELS & set(path.parts)]
    by_stem: dict[str, list[Path]] = {}
    for path in files:
        by_stem.setdefault(path.stem, []).append(path)
    params = _known_params()
    entries: dict[Path, Entry] = {}
    for metafile, model, collection in _models(root):
        config = _config_of(model, metafile, root, by_stem)
        if config is None:
            continue
        entry = _entry(model, collection, config, params)
        old = entries.get(config)
        # The index repeats a model at times; the one with a checkpoint is the better one.
        if old is None or (old.weights_url is None and entry.weights_url is not None):
            entries[config] = entry
    listed = list(entries.values())
    others = [path for path in files if path not in entries]
    return listed + [_unlisted(path, listed, params) for path in others]


def _root() -> Path:
    spec = importlib.util.find_spec("mmdet")
    if spec is None or not spec.submodule_search_locations:
        raise InstallError(
            "MMDetection is not installed.",
            'Install it with: pip install "cvtk[mmdet]"',
        )
    package = Path(next(iter(spec.submodule_search_locations))).resolve()
    # A wheel carries the configurations in .mim; a source checkout has them beside the package.
    for root in (package / ".mim", package.parent):
        if (root / "configs" / "_base_").is_dir():
            return root
    raise InstallError(
        f"The MMDetection in {package} came without its configuration files.",
        'Reinstall it: pip install --force-reinstall --no-deps onedl-mmdetection (or "cvtk[mmdet]" anew).',
    )


def _models(root: Path) -> Iterator[tuple[Path, dict[str, Any], dict[str, Any]]]:
    """Yields (metafile, model, its collection) for each model that the index lists."""
    index = _mapping(_yaml(root / "model-index.yml"))
    metafiles = [root / str(name) for name in _items(index.get("Import"))]
    # Without an index, which some source trees lack, the metafiles still tell all.
    for metafile in metafiles or sorted((root / "configs").rglob("metafile.yml")):
        content = _yaml(metafile)
        # Most metafiles have Collections and Models, some are the bare list of models.
        models = (
            content if isinstance(content, list) else _mapping(content).get("Models")
        )
        collections = _items(_mapping(content).get("Collections"))
        named = {str(_mapping(c).get("Name")): _mapping(c) for c in collections}
        first = _mapping(collections[0]) if collections else {}
        for model in map(_mapping, _items(models)):
            if "Name" in model and "Config" in model:
                yield metafile, model, named.get(str(model.get("In Collection")), first)


def _mapping(value: Any) -> dict[str, Any]:
    """A mapping of a metafile; an empty one where something else stands in its place."""
    return value if isinstance(value, dict) else {}


def _items(value: Any) -> list[Any]:
    """A list of a metafile; a single item counts as a list of one."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _yaml(path: Path) -> Any:
    import yaml

    # libyaml reads the 100 files in a tenth of a second, ten times as fast as Python does.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None  # one broken metafile must not take the whole catalogue away


def _config_of(
    model: dict[str, Any],
    metafile: Path,
    root: Path,
    by_stem: dict[str, list[Path]],
) -> Path | None:
    """The configuration file a metafile means; several of them name it by an old or an encoded path."""
    stated = Path(unquote(str(model["Config"])))
    same_stem = by_stem.get(stated.stem, [])
    folder = metafile.parent
    for path in (root / stated, folder / stated, folder / stated.name):
        if path in same_stem:
            return path
    return same_stem[0] if len(same_stem) == 1 else None


def _entry(
    model: dict[str, Any],
    collection: dict[str, Any],
    config: Path,
    params: dict[str, float],
) -> Entry:
    """What a metafile says of a model."""
    meta = _mapping(model.get("Metadata"))
    results = [_mapping(result) for result in _items(model.get("Results"))]
    metrics: dict[str, Any] = {}
    for result in results:
        metrics |= _mapping(result.get("Metrics"))
    task = _task_of(config, {result.get("Task") for result in results})
    paper = (_items(model.get("Paper")) or _items(collection.get("Paper")) or [{}])[0]
    if not isinstance(paper, dict):
        paper = {"URL": paper}
    weights = str((_items(model.get("Weights")) or [""])[0])
    epochs = _number(meta.get("Epochs"))
    names = [str(model["Name"]).removesuffix(".py")]
    names += [str(alias) for alias in _items(model.get("Alias"))]
    aliases = dict.fromkeys(name for name in names if name != config.stem)
    return Entry(
        name=config.stem,
        family=_family_of(model, collection, config),
        task=task,
        config=config,
        weights_url=weights if weights.startswith("http") else None,
        mask_ap=_number(metrics.get("mask AP")) if task == "segm" else None,
        box_ap=_number(metrics.get("box AP")),
        memory_gb=_number(meta.get("Training Memory (GB)")),
        params=params.get(config.stem),
        epochs=int(epochs) if epochs else None,
        paper_title=str(paper.get("Title") or ""),
        paper_url=str(paper.get("URL") or ""),
        dataset=str(results[-1].get("Dataset") or "") if results else "",
        aliases=tuple(aliases),
    )


def _task_of(config: Path, stated: set[Any]) -> str:
    """`segm`, `det` or `other`, from the tasks that a metafile states results for."""
    if not stated or not stated <= {"Object Detection", "Instance Segmentation"}:
        return "other"
    task = "segm" if "Instance Segmentation" in stated else "det"
    return _SURE_TASKS.get(config.stem.split("_")[0], task)


def _family_of(model: dict[str, Any], collection: dict[str, Any], config: Path) -> str:
    stated = model.get("In Collection") or collection.get("Name") or config.parent.name
    for (coarse, start), finer in _FINER_FAMILIES.items():
        if stated == coarse and config.stem.startswith(start):
            return finer
    return str(stated)


def _unlisted(config: Path, listed: list[Entry], params: dict[str, float]) -> Entry:
    """An entry for a file outside the index: family and task are those of its nearest listed relative."""
    head = config.stem.split("_")[0]
    relatives = [e for e in listed if e.name.split("_")[0] == head]
    relatives.sort(key=lambda e: e.config.parent != config.parent)
    if relatives:
        family, task = relatives[0].family, relatives[0].task
    else:
        family, task = config.parent.name, "other"
    return Entry(
        config.stem, family, task, config, params=params.get(config.stem), listed=False
    )


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def _known_params() -> dict[str, float]:
    """Parameters in millions by configuration stem: counted, since metafiles do not say them."""
    table: dict[str, float] = json.loads(
        (Path(__file__).parent / "params.json").read_text(encoding="utf-8")
    )
    return table
