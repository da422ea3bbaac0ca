"""Times what the start-up hook of `mmcv.ops` adds to every start of Python.

    python benchmarks/hook.py

Needs cvtk installed. Starts Python 40 times with `-X importtime`, by which Python itself says how long the hook
and the whole of `site` take, and 40 times each with the folder of the hook's .pth file and without.
"""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

SITE = Path(sysconfig.get_paths()["purelib"])
STARTS = 40


def start(*arguments: str) -> tuple[float, str]:
    """Wall time of a Python in milliseconds, and its standard error."""
    begin = time.perf_counter()
    result = subprocess.run(
        [sys.executable, *arguments], check=True, capture_output=True, text=True
    )
    return 1000 * (time.perf_counter() - begin), result.stderr


def import_time() -> float:
    """Milliseconds that importing the hook took in one ordinary start of Python."""
    _, report = start("-X", "importtime", "-c", "pass")
    found = re.search(r"\|\s*(\d+) \|\s+_cvtk_mmcv_ops", report)
    if not found:
        raise SystemExit("The hook is not installed: pip install cvtk")
    return int(found.group(1)) / 1000


def main() -> None:
    inside = [import_time() for _ in range(STARTS)]
    print(
        f"import of the hook, by Python's own clock     {statistics.median(inside):7.2f} ms"
    )
    with tempfile.TemporaryDirectory() as name:
        bare, hooked = Path(name, "bare"), Path(name, "hooked")
        bare.mkdir()
        hooked.mkdir()
        for file in ("_cvtk_mmcv_ops.pth", "_cvtk_mmcv_ops.py"):
            shutil.copy(SITE / file, hooked)
        subprocess.run(
            [sys.executable, "-m", "compileall", "-q", str(hooked)], check=True
        )
        wall: dict[Path, list[float]] = {bare: [], hooked: []}
        for _ in range(STARTS):
            for folder, times in wall.items():
                times.append(
                    start("-S", "-c", f"import site; site.addsitedir({str(folder)!r})")[
                        0
                    ]
                )
    print(
        f"start of Python with an empty site folder     {statistics.median(wall[bare]):7.2f} ms"
    )
    print(
        f"start of Python with the hook in this folder  {statistics.median(wall[hooked]):7.2f} ms"
    )


if __name__ == "__main__":
    main()
