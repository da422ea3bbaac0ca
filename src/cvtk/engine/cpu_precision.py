"""Steps of a training in mixed precision on a CPU, for which MMEngine asks for a GPU."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from mmengine.optim import OptimWrapper


class CPUAmpOptimWrapper(OptimWrapper):  # type: ignore[misc]
    """MMEngine's `AmpOptimWrapper` for a CPU.

    Losses need not be scaled, since bfloat16 reaches as far as float32.

    Args:
        dtype: Of what is computed with 16 bits; "bfloat16".
        kwargs: As of MMEngine's `OptimWrapper`.
    """

    def __init__(self, *, dtype: str = "bfloat16", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dtype = getattr(torch, dtype)

    @contextlib.contextmanager
    def optim_context(self, model: Any) -> Iterator[None]:
        """In which the losses of a step are computed."""
        with super().optim_context(model), torch.autocast("cpu", self.dtype):
            yield
