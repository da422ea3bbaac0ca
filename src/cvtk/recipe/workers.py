"""Worker processes of data loaders that end with the process they work for."""

from __future__ import annotations

import functools
import os
import threading
import time
from typing import Any


def tie_workers(loader: Any) -> None:
    """Lets the workers of a PyTorch data loader end when this process ends, even if it is killed.

    By themselves they may wait for ever to hand over an image that nobody takes any more.
    """
    loader.worker_init_fn = functools.partial(
        start_worker, own=loader.worker_init_fn, parent=os.getpid()
    )


def start_worker(worker_id: int, own: Any, parent: int) -> None:
    """What a worker does first: it starts to watch its parent, and then its own preparations."""
    threading.Thread(target=end_with, args=(parent,), daemon=True).start()
    if own is not None:
        own(worker_id)


def end_with(parent: int) -> None:
    """Ends this process within a second after its parent has ended."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
