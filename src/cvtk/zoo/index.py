"""Reads MMDetection's own index of models (`.mim/model-index.yml`), without importing MMDetection."""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from cvtk.errors import InstallError
from cvtk.zoo import cache

# What the index calls a collection, where users look for a finer name: start of the model's name -> family.
_FINER_FAMILIES = {
    ("RTMDet", "rtmdet-ins"): "RTMDet-Ins",
    ("Cascade R-CNN", "cascade-mask-rcnn"): "Cascade Mask R-CNN",
}
# The index names a wrong task for one model of each of these.
_SURE_TASKS = {"faster-rcnn": "det", "mask-rcnn": "segm"}
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
        memory_gb: GPU memory in GB that the published training took (its batch and image size), if stated.
        params: Parameters in millions, None where unknown.
        epochs: Epochs of the published training, None where unknown or counted in iterations.
        paper_title: Title of the paper, `""` where unknown.
        paper_url: Address of the paper, `""` where unknown.
        dataset: The data set of the figures, e.g. `COCO` or `LVIS v1`.
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
        """The figure that ranks it, in per cent: mask AP for `segm`, box AP otherwise."""
        return self.mask_ap if self.task == "segm" else self.box_ap

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON takes them."""
        return {**vars(self), "config": str(self.config), "aliases": list(self.aliases)}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Entry:
        """The entry that `to_dict` gave the fields of."""
        return cls(
            **{
                **fields,
                "config": Path(fields["config"]),
                "aliases": tuple(fields["aliases"]),
            }
        )


def catalogue() -> list[Entry]:
    """All instance segmentation and detection models that MMDetection's index lists.

    Returns:
        Entries sorted by mask AP (segmentation first), then box AP; those without figures last.

    Raises:
        InstallError: MMDetection is not installed, or has no configuration files.
    """
    entries = [e for e in everything() if e.listed and e.task != "other"]
    return sorted(entries, key=lambda e: (e.task != "segm", -(e.ap or 0.0), e.name))


@functools.lru_cache(maxsize=1)
def everything() -> tuple[Entry, ...]:
    """All configuration files of the installed MMDetection, also those that cvtk does not train.

    Raises:
        InstallError: MMDetection is not installed, or has no configuration files.
    """
    root = _root()
    key = cache.key_of(root)
    stored = cache.load(key)
    if stored is not None:
        try:
            return tuple(Entry.from_dict(fields) for fields in stored)
        except (KeyError, TypeError):
            pass  # another version of cvtk wrote it
    entries = tuple(read_index(root))
    cache.save(key, [e.to_dict() for e in entries])
    return entries


def read_index(root: Path) -> list[Entry]:
    """Reads the index below one folder.

    Args:
        root: Folder that holds `model-index.yml` and `configs/` (mmdet's `.mim`, or a source checkout).

    Returns:
        One entry a configuration file, listed ones first.
    """
    files = {
        p
        for p in sorted((root / "configs").rglob("*.py"))
        if not _NOT_MODELS & set(p.parts)
    }
    by_stem: dict[str, list[Path]] = {}
    for path in sorted(files):
        by_stem.setdefault(path.stem, []).append(path)
    params = _known_params()
    entries: dict[Path, Entry] = {}
    for metafile, model, collection in _models(root):
        config = _config_of(model, metafile, root, files, by_stem)
        if config is None:
            continue
        entry = _entry(model, collection, config, params)
        old = entries.get(config)
        # The index repeats a model at times; the one with a checkpoint is the better one.
        if old is None or (old.weights_url is None and entry.weights_url is not None):
            entries[config] = entry
    listed = list(entries.values())
    return listed + [_unlisted(p, listed, params) for p in sorted(files - set(entries))]


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
    index = _yaml(root / "model-index.yml")
    imports = index.get("Import", []) if isinstance(index, dict) else []
    # Without an index, which some source trees lack, the metafiles still tell all.
    metafiles = [root / name for name in imports] or sorted(
        (root / "configs").rglob("metafile.yml")
    )
    for metafile in metafiles:
        content = _yaml(metafile)
        # Most metafiles have Collections and Models, some are the bare list of models.
        models = content.get("Models") if isinstance(content, dict) else content
        collections = (
            content.get("Collections") if isinstance(content, dict) else None
        ) or []
        by_name = {
            c["Name"]: c for c in collections if isinstance(c, dict) and "Name" in c
        }
        for model in models or []:
            if isinstance(model, dict) and "Name" in model and "Config" in model:
                own = by_name.get(
                    str(model.get("In Collection")),
                    collections[0] if collections else {},
                )
                yield metafile, model, own if isinstance(own, dict) else {}


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
    files: set[Path],
    by_stem: dict[str, list[Path]],
) -> Path | None:
    """The configuration file a metafile means; several of them name it by an old or an encoded path."""
    stated = unquote(str(model["Config"]))
    for path in (
        root / stated,
        metafile.parent / stated,
        metafile.parent / Path(stated).name,
    ):
        if path in files:
            return path
    same_stem = by_stem.get(Path(stated).stem, [])
    return same_stem[0] if len(same_stem) == 1 else None


def _entry(
    model: dict[str, Any],
    collection: dict[str, Any],
    config: Path,
    params: dict[str, float],
) -> Entry:
    meta = model.get("Metadata") or {}
    results = [r for r in model.get("Results") or [] if isinstance(r, dict)]
    tasks = {r.get("Task") for r in results}
    metrics = {k: v for r in results for k, v in (r.get("Metrics") or {}).items()}
    if tasks <= {"Object Detection", "Instance Segmentation"} and tasks:
        task = "segm" if "Instance Segmentation" in tasks else "det"
        task = _SURE_TASKS.get(config.stem.split("_")[0], task)
    else:
        task = "other"
    weights = model.get("Weights")
    weights = weights[0] if isinstance(weights, list) and weights else weights
    paper = model.get("Paper") or collection.get("Paper") or {}
    paper = paper[0] if isinstance(paper, list) else paper
    paper = paper if isinstance(paper, dict) else {"URL": paper}
    name = str(model["Name"]).removesuffix(".py")
    family = str(
        model.get("In Collection") or collection.get("Name") or config.parent.name
    )
    for (coarse, start), finer in _FINER_FAMILIES.items():
        if family == coarse and config.stem.startswith(start):
            family = finer
    aliases = [name, *(str(a) for a in model.get("Alias") or [])]
    return Entry(
        name=config.stem,
        family=family,
        task=task,
        config=config,
        weights_url=weights
        if isinstance(weights, str) and weights.startswith("http")
        else None,
        mask_ap=_number(metrics.get("mask AP")) if task == "segm" else None,
        box_ap=_number(metrics.get("box AP")),
        memory_gb=_number(meta.get("Training Memory (GB)")),
        params=params.get(config.stem),
        epochs=int(meta["Epochs"]) if _number(meta.get("Epochs")) else None,
        paper_title=str(paper.get("Title") or ""),
        paper_url=str(paper.get("URL") or ""),
        dataset=str(results[-1].get("Dataset") or "") if results else "",
        aliases=tuple(dict.fromkeys(a for a in aliases if a != config.stem)),
    )


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
    return (
        float(value)
        if isinstance(value, int | float) and not isinstance(value, bool)
        else None
    )


def _known_params() -> dict[str, float]:
    """Parameters in millions by configuration stem: counted, since metafiles do not say them."""
    try:
        table = json.loads(
            (Path(__file__).parent / "params.json").read_text(encoding="utf-8")
        )
    except (OSError, ValueError):
        return {}
    return {str(k): float(v) for k, v in table.items()}
