"""What is found in images that come over the network: bytes in, results out, several at once."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvtk import __version__
from cvtk.data.images import decode_image
from cvtk.data.sources import ImageSource
from cvtk.engine.streaming import AnyPredictor
from cvtk.errors import printable
from cvtk.results import Result
from cvtk.serve.options import ServeOptions
from cvtk.visual.overlays import class_colour

# What a request may hold, in Pillow's names. Other readers of it run programs (EPS) or are seldom tried.
FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP", "GIF")


class Service:
    """A model that any thread may ask; images are decoded side by side, and go through the network in turn.

    Args:
        predictor: The model.
        options: Limits, and the score to answer with.
    """

    def __init__(self, predictor: AnyPredictor, options: ServeOptions) -> None:
        self.predictor = predictor
        self.options = options
        self._one_at_a_time = threading.Lock()

    def find(self, data: bytes, file_name: str | None, score: float | None) -> Result:
        """What is found in an image.

        Args:
            data: Its file.
            file_name: What the client calls it. It is only repeated in the answer: no file is ever opened by it.
            score: The lowest score, 0 to 1; None: that of the options, else those of the model.

        Raises:
            DataError: It is no image, or too large.
        """
        name = plain_name(file_name)
        image = ImageSource(Path(name), name, 1, self.decode(data, file_name))
        lowest = self.options.score if score is None else score
        with self._one_at_a_time:
            [result] = self.predictor.predict([image], 1, lowest)
        return result

    def decode(self, data: bytes, file_name: str | None) -> NDArray[np.uint8]:
        """The pixels (height, width, 3) of an image, in RGB. Takes and raises what `find` does."""
        return decode_image(
            data,
            plain_name(file_name),
            self.predictor.reading,
            formats=FORMATS,
            most_pixels=self.options.max_megapixels * 1e6,
        )

    def about(self) -> dict[str, Any]:
        """What the model is and knows, as JSON takes it."""
        spec = self.predictor.spec
        scores = self.predictor.least_scores(self.options.score)
        classes = [
            {
                "id": id_,
                "name": name,
                "score": score,
                "colour": "#{:02x}{:02x}{:02x}".format(*class_colour(index)),
            }
            for index, (id_, name, score) in enumerate(
                zip(spec.category_ids, spec.classes, scores, strict=True)
            )
        ]
        return {
            "model": Path(spec.name).name,
            "task": spec.task,
            "classes": classes,
            "max_megabytes": self.options.max_megabytes,
            "max_megapixels": self.options.max_megapixels,
            "cvtk": __version__,
        }


def plain_name(file_name: str | None) -> str:
    """The last part of a name that a client sends, to be repeated in an answer."""
    last = re.split(r"[\\/]", file_name or "")[-1][-200:]
    return printable(last) if last.strip(". ") else "image"
