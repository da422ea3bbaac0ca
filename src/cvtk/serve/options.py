"""What `cvtk serve` takes; see `cvtk.options`."""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass
from typing import Annotated

from cvtk.declare import Option
from cvtk.options import PathLike
from cvtk.options.shared import _Device, _Trust


@dataclass(frozen=True)
class ServeOptions(_Device, _Trust):
    """A service that answers with what a model finds in images."""

    weights: Annotated[
        PathLike, Option(help="weights that train wrote, or an exported model")
    ]
    _: KW_ONLY
    host: Annotated[
        str,
        Option(
            help="address to answer at; 0.0.0.0 lets other computers in",
            pattern=re.compile(r"[\w.:-]+"),
            expected="an address such as 127.0.0.1",
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int,
        Option(
            help="port to answer at; 0 takes any free one", minimum=0, maximum=65535
        ),
    ] = 8000
    score: Annotated[
        float | None,
        Option(
            help="lowest score to answer with, where a request does not say",
            minimum=0,
            maximum=1,
            unset="those of the model",
        ),
    ] = None
    max_megabytes: Annotated[
        float,
        Option(help="largest file of an image", minimum=0.001, maximum=10_000),
    ] = 50.0
    max_megapixels: Annotated[
        float,
        Option(help="largest image, in millions of pixels", minimum=0.001, maximum=170),
    ] = 64.0
    timeout: Annotated[
        float,
        Option(help="most seconds for an answer", minimum=0.1, maximum=86_400),
    ] = 60.0
