"""The line that records how a script was made, so that tools need not guess from its text."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

_LINE = re.compile(r"^# cvtk: (\{.*\})\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Stamp:
    """How a script was made.

    Attributes:
        version: Of cvtk.
        task: "segm" or "det".
        mode: "helper" or "vanilla".
        model: What was given as `--model`, or the model of the tutorial.
    """

    version: str
    task: str
    mode: str
    model: str

    def line(self) -> str:
        """The stamp as JSON, in ASCII."""
        return json.dumps(asdict(self))


def read_stamp(script: str | Path) -> Stamp | None:
    """The stamp of a script; None where it has none that can be read."""
    try:
        text = Path(script).read_text(encoding="utf-8", errors="replace")
        found = _LINE.search(text)
        return Stamp(**json.loads(found[1])) if found else None
    except (OSError, ValueError, TypeError):
        return None
