"""What a check found: each problem with its file, item, severity and remedy."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

Severity = Literal["error", "warning", "note"]

# Of each kind this many are kept word for word; the rest are counted.
KEPT = 200


Key: TypeAlias = tuple[str, str, str]
"""Severity, kind and file of problems that are counted together."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        severity: `"error"` spoils training; `"warning"` costs an object or is suspicious; `"note"` is to know.
        kind: A short name, the same for all of a kind.
        file: The annotation file.
        item: Which image, annotation or class.
        message: What is wrong with it.
        remedy: What to do.
    """

    severity: Severity
    kind: str
    file: str
    item: str
    message: str
    remedy: str = ""


@dataclass
class Problems:
    """A list of problems that stays short: `counts` has all, `items` the first `KEPT` of each kind."""

    items: list[Problem] = field(default_factory=list)
    counts: Counter[Key] = field(default_factory=Counter)

    def add(
        self,
        severity: Severity,
        kind: str,
        file: object,
        item: str,
        message: str,
        remedy: str = "",
    ) -> None:
        """Adds one."""
        key = (severity, kind, str(file))
        self.counts[key] += 1
        if self.counts[key] <= KEPT:
            self.items.append(Problem(severity, kind, str(file), item, message, remedy))

    def number(self, severity: Severity) -> int:
        """How many there are of a severity."""
        return sum(n for (s, _, _), n in self.counts.items() if s == severity)

    def of_kind(self, kind: str) -> list[Problem]:
        """Those of one kind."""
        return [p for p in self.items if p.kind == kind]

    def of_key(self, key: Key) -> list[Problem]:
        """Those of one severity, kind and file."""
        return [p for p in self.items if (p.severity, p.kind, p.file) == key]

    def to_dicts(self) -> list[dict[str, Any]]:
        """Plain dictionaries, errors first."""
        rank = {"error": 0, "warning": 1, "note": 2}
        return [asdict(p) for p in sorted(self.items, key=lambda p: rank[p.severity])]
