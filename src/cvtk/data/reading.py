"""How image files become what a network sees: the same in training, validation and inference."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cvtk.data.intensity import Intensity

TOO_DARK = (
    "has nothing above a sixteenth of its 16 bits, and is nearly black to the network."
    " Train with --intensity range or percentiles."
)


@dataclass(frozen=True)
class Reading:
    """How image files are read.

    Attributes:
        intensity: How values of more than 8 bits are scaled; see `cvtk.data.intensity.to_8_bits`.
        page: Of a TIFF of several pages (slices, times), from 1.
        channels: One or three of its channels, from 1; empty: the only one, or red, green and blue.
        to_be_seen: Whether people look at the image: then of many channels the first three are taken unasked.
    """

    intensity: Intensity = "depth"
    page: int = 1
    channels: tuple[int, ...] = ()
    to_be_seen: bool = False

    @classmethod
    def noted_in(cls, cfg: Mapping[str, Any]) -> Reading:
        """How the images of a training were read, from its configuration, which notes what is not the default."""
        return cls(
            intensity=cfg.get("intensity", "depth"),
            page=cfg.get("page", 1),
            channels=tuple(cfg.get("channels", ())),
        )

    def notes(self) -> dict[str, Any]:
        """What a configuration notes of it: all that is not the default."""
        values = {
            "intensity": self.intensity,
            "page": self.page,
            "channels": list(self.channels),
        }
        default = Reading()
        return {
            key: value
            for key, value in values.items()
            if value != (getattr(default, key) or [])
        }

    def with_choices(self, page: int | None, channels: str | None) -> Reading:
        """The same with another page or other channels, such as "3,1,2", where they are chosen."""
        numbers = tuple(map(int, channels.split(","))) if channels else self.channels
        return dataclasses.replace(self, page=page or self.page, channels=numbers)

    def for_people(self) -> Reading:
        """The same for images that people look at: bright whatever their depth."""
        return dataclasses.replace(self, intensity="range", to_be_seen=True)


USUAL = Reading()
AS_SEEN = USUAL.for_people()
