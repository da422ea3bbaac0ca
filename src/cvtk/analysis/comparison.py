"""Two models on the same images: what differs, and whether that could be chance.

The same draws of images are used for both models, so that what makes an image hard or easy for both does not count
(paired bootstrap; Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 16).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvtk.analysis.bootstrap import (
    DRAWS,
    FEW_IMAGES,
    Interval,
    Values,
    draw_images,
    draw_metrics,
    interval_of,
)
from cvtk.analysis.matching import Matches
from cvtk.analysis.study import headline_limit, matches_of
from cvtk.analysis.thresholds import Thresholds, one_threshold
from cvtk.data import Dataset
from cvtk.data.csv_files import Row
from cvtk.metrics.detections import Kind
from cvtk.tables import table
from cvtk.words import counted

LEAST_IMAGES = 6
"""With fewer, even a model that is better on every image is so by chance in more than one of 20 cases (sign test)."""

HEADLINE = "AP"


@dataclass(frozen=True)
class Rival:
    """One of two models that are compared.

    Attributes:
        name: What it is called.
        predictions: All of them, in COCO's results format.
        thresholds: Its scores to cut at, for precision, recall and F1; the default score where left out.
    """

    name: str
    predictions: Sequence[Mapping[str, Any]]
    thresholds: Thresholds | None = None


@dataclass(frozen=True)
class Difference:
    """A metric of both models.

    Attributes:
        first: Of the first model.
        second: Of the second model.
        change: The second less the first, with the interval of the paired draws.
        is_sure: Whether the interval leaves out that there is no difference, and the images are enough to say so.
    """

    first: float
    second: float
    change: Interval
    is_sure: bool


@dataclass(frozen=True)
class Group:
    """The comparison on some of the images.

    Attributes:
        name: What the images have in common; empty for all of them.
        images: How many there are.
        units: How many of them are independent: as many as there are groups of images that belong together.
        overall: By the name of the metric.
        by_class: The same for each class, by its name.
    """

    name: str
    images: int
    units: int
    overall: dict[str, Difference]
    by_class: dict[str, dict[str, Difference]]


@dataclass(frozen=True, repr=False)
class Comparison:
    """Two models on the same images. In a notebook it shows itself as a table.

    Attributes:
        names: Of the two models.
        file: The annotated set.
        kind: Whether masks ("segm") or boxes ("bbox") were compared.
        everything: On all images.
        groups: On the images of each group; empty where none were asked for.
        by: What the groups are made by, such as "site".
        notes: What a reader should know, as sentences.
    """

    names: tuple[str, str]
    file: str
    kind: Kind
    everything: Group
    groups: list[Group] = field(default_factory=list)
    by: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        """What can be said of all images, and no more."""
        return verdict(self.everything, self.names, self.file)

    def rows(self) -> Iterator[Row]:
        """One row per group, class and metric; group and class are empty for all images and all classes."""
        for group in (self.everything, *self.groups):
            for label, metrics in (("", group.overall), *group.by_class.items()):
                for metric, told in metrics.items():
                    yield {
                        "group": group.name,
                        "images": group.images,
                        "class": label,
                        "metric": metric,
                        "first_model": self.names[0],
                        "first": told.first,
                        "second_model": self.names[1],
                        "second": told.second,
                        "difference": told.change.value,
                        "low": told.change.low,
                        "high": told.change.high,
                    }

    def lines(self) -> list[list[str]]:
        """The table to read: all metrics of all images, then AP by class and by group."""
        shown = list(self.everything.overall.items())
        shown += [
            (f"{HEADLINE} of {label}", metrics[HEADLINE])
            for label, metrics in self.everything.by_class.items()
        ]
        shown += [
            (
                f"{HEADLINE}, {self.by} {group.name} ({counted(group.images, 'image')})",
                group.overall[HEADLINE],
            )
            for group in self.groups
        ]
        return [[name, *_cells(told)] for name, told in shown]

    @property
    def header(self) -> list[str]:
        """What the columns of `lines` are."""
        return ["metric", *self.names, "difference", "95% interval", ""]

    def __str__(self) -> str:
        text = table(self.lines(), self.header, right=(1, 2, 3, 4))
        return "\n\n".join([self.sentence, text, *self.notes])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """The sentence, the table and the notes, for notebooks."""
        import jinja2

        template = jinja2.Environment(autoescape=True).from_string(_HTML)
        return template.render(told=self)


_HTML = """\
<p><b>{{ told.sentence }}</b></p>
<table><tr>{% for name in told.header %}<th>{{ name }}</th>{% endfor %}</tr>
{%- for line in told.lines() -%}
<tr>{% for cell in line %}<td>{{ cell }}</td>{% endfor %}</tr>
{%- endfor -%}
</table>
{% for note in told.notes %}<p>{{ note }}</p>{% endfor %}"""


def compare_predictions(
    dataset: Dataset,
    first: Rival,
    second: Rival,
    kind: Kind,
    groups: Sequence[str] | None = None,
    by: str = "",
    *,
    draws: int = DRAWS,
) -> Comparison:
    """Compares the predictions of two models on an annotated set.

    Args:
        dataset: The annotated set.
        first: A model.
        second: Another model.
        kind: Whether masks ("segm") or boxes ("bbox") are compared.
        groups: The name of the group of each image, in the order of the data set.
        by: What the groups are made by.
        draws: How often images are drawn for the intervals.

    Raises:
        DataError: The annotations or a prediction cannot be used; the message says which.
    """
    both = [matches_of(dataset, rival.predictions, kind) for rival in (first, second)]
    truth = both[0].truth
    kept = [
        (rival.thresholds or one_threshold(truth.class_order)).is_kept(matches)
        for rival, matches in zip((first, second), both, strict=True)
    ]
    members: dict[str, NDArray[np.bool_]] = {
        "": np.ones(len(truth.image_names), dtype=bool)
    }
    if groups is not None:
        for image, name in zip(dataset.images, groups, strict=True):
            chosen = members.setdefault(name, np.zeros_like(members[""]))
            chosen[truth.image_numbers[image.id] - 1] = True
    told = [_group(name, chosen, both, kept, draws) for name, chosen in members.items()]
    return Comparison(
        names=(first.name, second.name),
        file=truth.file,
        kind=kind,
        everything=told[0],
        groups=sorted(told[1:], key=lambda group: group.name),
        by=by,
        notes=_notes(told, (first, second), kind, draws),
    )


def _group(
    name: str,
    chosen: NDArray[np.bool_],
    both: Sequence[Matches],
    kept: Sequence[NDArray[np.bool_]],
    draws: int,
) -> Group:
    """Compares on some images."""
    groups = both[0].truth.groups
    weights = draw_images(groups, draws, chosen=chosen)
    units = len(np.unique(groups[chosen]))
    limit = headline_limit(both[0].truth)
    first, second = (
        draw_metrics(matches, is_kept, weights, limit)
        for matches, is_kept in zip(both, kept, strict=True)
    )
    return Group(
        name=name,
        images=int(chosen.sum()),
        units=units,
        overall=_differences(first.overall, second.overall, units),
        by_class={
            label: _differences(first.by_class[label], second.by_class[label], units)
            for label in first.by_class
        },
    )


def _differences(first: Values, second: Values, units: int) -> dict[str, Difference]:
    told = {}
    for name in first:
        change = interval_of(second[name] - first[name], units, least=-1.0)
        is_apart = change.low > 0 or change.high < 0
        told[name] = Difference(
            first=float(first[name][0]),
            second=float(second[name][0]),
            change=change,
            is_sure=is_apart and units >= LEAST_IMAGES,
        )
    return told


def verdict(group: Group, names: tuple[str, str], file: str) -> str:
    """One sentence on which of two models is better, which claims no more than the images show."""
    where = f"{counted(group.images, 'image')} of {file}"
    told = group.overall.get(HEADLINE)
    if told is None or math.isnan(told.change.value):
        return f"{names[0]} and {names[1]} cannot be compared on {where}: there is no object to be found."
    change = told.change
    if told.is_sure:
        better, worse = names if change.value < 0 else names[::-1]
        bounds = sorted((abs(change.low), abs(change.high)))
        text = (
            f"{better} is better than {worse} on these {where}: its AP is {abs(change.value):.3f} higher"
            f" (95% interval {bounds[0]:.3f} to {bounds[1]:.3f})."
        )
    else:
        text = (
            f"{names[0]} and {names[1]} cannot be told apart on these {where}:"
            f" the AP of {names[1]} is {told.second:.3f}, that of {names[0]} {told.first:.3f}"
        )
        if group.units < LEAST_IMAGES:
            text += f", and fewer than {LEAST_IMAGES} {_units(group)} cannot show more."
        else:
            text += f"; 95% interval of the difference: {_range(change)}."
    return text


def _units(group: Group) -> str:
    """What is drawn: images, or groups of those that belong together."""
    return "images" if group.units == group.images else "groups of images"


def _notes(
    groups: Sequence[Group], rivals: tuple[Rival, Rival], kind: Kind, draws: int
) -> list[str]:
    everything = groups[0]
    shape = "masks" if kind == "segm" else "boxes"
    notes = [
        f"Compared are {shape}. The 95% intervals come from {draws} random draws of the {_units(everything)}, the"
        " same for both models. They say how far the difference could be off because other images might have been tested: nothing"
        " of other sites or cameras, and nothing of how much another training of the same model would differ."
    ]
    if everything.units < everything.images:
        notes.append(
            f"The {everything.images} images are {counted(everything.units, 'group')}: those that look alike, or"
            " are noted as one group, are drawn together."
        )
    if everything.units < FEW_IMAGES:
        notes.append(
            f"From {everything.units} {_units(everything)} intervals are rough, and rather too narrow than too wide."
        )
    many = len(groups) * (1 + len(everything.by_class))
    if many > 1:
        notes.append(
            "* marks differences whose interval leaves out zero. Of 20 comparisons of equal models, one is marked by"
            " chance: the sentence above looks at one alone, that of all images and classes."
        )
    cuts = [
        f"{rival.name} from {rival.thresholds.words() if rival.thresholds else '0.3'}"
        for rival in rivals
    ]
    notes.append(
        f"Precision, recall and F1 are at IoU 0.50 and these scores to cut at: {'; '.join(cuts)}."
    )
    return notes


def _cells(told: Difference) -> list[str]:
    """Both values, the difference, its interval, and a star where it leaves out zero."""
    change = told.change
    if math.isnan(change.value):
        return [_number(told.first), _number(told.second), "", "", ""]
    return [
        _number(told.first),
        _number(told.second),
        f"{change.value:+.3f}",
        _range(change),
        "*" if told.is_sure else "",
    ]


def _number(value: float) -> str:
    return "none there" if math.isnan(value) else f"{value:.3f}"


def _range(change: Interval) -> str:
    if math.isnan(change.low):
        return ""
    return f"{change.low:+.3f} to {change.high:+.3f}"
