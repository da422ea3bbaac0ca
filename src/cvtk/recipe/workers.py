"""Worker processes of data loaders: they give way to the process they work for, and end with it."""

from __future__ import annotations

import functools
import os
import threading
import time
from typing import Any

PATIENCE = 10  # steps of `nice` by which workers give way


def tie_workers(loader: Any) -> None:
    """Lets the workers of a data loader end with this process, even if it is killed.

    By themselves they may wait for ever to hand over an image that nobody takes any more.
    """
    start, parent = loader.worker_init_fn, os.getpid()
    loader.worker_init_fn = functools.partial(start_worker, start, parent)


def start_worker(start: Any, parent: int, worker_id: int) -> None:
    """Prepares a worker process, which from then on looks for its parent each second.

    It gives way to the threads that compute: each of their steps waits for the last of them, so that one that has to
    share its core with a worker keeps all others waiting. Workers come in turn while these wait for images.
    """

    def end_with_parent() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    if hasattr(os, "nice"):  # not on Windows
        os.nice(PATIENCE)
    threading.Thread(target=end_with_parent, daemon=True).start()
    if start is not None:
        start(worker_id)
