"""The protocol of the YMIR platform for executors: what a container reads in /in and writes to /out.

The program of an executor (made by `cvtk create --target ymir`) uses these names and nothing else of this room.
"""

from __future__ import annotations

from cvtk.analysis.uncertainty import LOWEST_SCORE, uncertainty
from cvtk.ymir.follow import follow, follow_results
from cvtk.ymir.outputs import write_detections, write_inference, write_mining
from cvtk.ymir.run import run
from cvtk.ymir.stages import write_stages
from cvtk.ymir.task import Task

__all__ = [
    "LOWEST_SCORE",
    "Task",
    "follow",
    "follow_results",
    "run",
    "uncertainty",
    "write_detections",
    "write_inference",
    "write_mining",
    "write_stages",
]
