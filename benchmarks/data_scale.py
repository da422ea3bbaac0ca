"""A COCO-sized file read, checked and split by cvtk, beside pycocotools and the standard json module.

    python benchmarks/data_scale.py [--images 118000] [--annotations 860000]

Makes the file (about 450 MB) in a temporary folder, then runs each reader in a process of its own and prints
seconds and peak memory. The claim to hold: cvtk is faster than the two others together, in at most the memory
of json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

JOBS = {
    "json.load": "import json; json.load(open(FILE))",
    "pycocotools.COCO": "from pycocotools.coco import COCO; COCO(FILE)",
    "cvtk: read": "from cvtk.data import read; read(FILE)",
    "cvtk: read, check, split": (
        "from cvtk.data.checks import check; from cvtk.data.split import split, parse_ratios\n"
        "from cvtk.data.coco import write\n"
        "report = check([FILE], images=False)\n"
        "parts = split(report.datasets['train'], parse_ratios('8:1:1'), look=False).parts\n"
        "for name, part in parts.items(): write(part, FILE + '.' + name + '.json', force=True)"
    ),
}

# Linux counts in KiB, macOS in bytes. The parent's own peak must not count: execve starts a new one.
_RUN = """
import resource, sys, time
FILE = sys.argv[1]
start = time.perf_counter()
{job}
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print("RESULT", time.perf_counter() - start, peak, flush=True)
import os; os._exit(0)
"""


def make(file: Path, images: int, annotations: int, seed: int = 0) -> None:
    """Writes a made-up set with the proportions of COCO 2017: 80 classes, polygons of about 25 points."""
    rng = np.random.default_rng(seed)
    with file.open("w") as out:
        out.write('{"info": {"year": 2017}, "licenses": [], "images": [')
        for i in range(images):
            item = {
                "license": 3,
                "file_name": f"{i:012d}.jpg",
                "coco_url": f"http://images.cocodataset.org/train2017/{i:012d}.jpg",
                "height": 480,
                "width": 640,
                "date_captured": "2013-11-14 11:18:45",
                "id": i,
            }
            out.write(("," if i else "") + json.dumps(item))
        out.write('], "annotations": [')
        for start in range(0, annotations, 10_000):
            count = min(10_000, annotations - start)
            sizes = np.clip(rng.poisson(25, count), 4, None)
            centre = rng.uniform((100, 100), (540, 380), (count, 2))
            radius = rng.uniform(5, 95, count)
            for k in range(count):
                n = int(sizes[k])
                t = np.linspace(0, 2 * np.pi, n, endpoint=False)
                r = radius[k] * rng.uniform(0.8, 1, n)
                points = np.round(
                    centre[k] + np.stack((np.cos(t) * r, np.sin(t) * r), 1), 2
                )
                low, size = points.min(0), np.ptp(points, 0)
                x, y = points.T
                area = (
                    abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))))
                    / 2
                )
                item = {
                    "segmentation": [points.ravel().tolist()],
                    "area": round(area, 4),
                    "iscrowd": 0,
                    "image_id": int(rng.integers(images)),
                    "bbox": [float(v) for v in np.round((*low, *size), 2)],
                    "category_id": int(rng.integers(1, 81)),
                    "id": start + k + 1,
                }
                out.write(("," if start + k else "") + json.dumps(item))
        categories = [
            {"supercategory": "thing", "id": c, "name": f"class {c}"}
            for c in range(1, 81)
        ]
        out.write('], "categories": ' + json.dumps(categories) + "}")


def measure(job: str, file: Path) -> tuple[float, float]:
    """Seconds and peak bytes of a job in a fresh process."""
    command = [sys.executable, "-c", _RUN.format(job=JOBS[job]), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    line = [x for x in done.stdout.splitlines() if x.startswith("RESULT")]
    if not line:
        raise SystemExit(f"{job} failed:\n{done.stderr}")
    _, seconds, peak = line[0].split()
    return float(seconds), float(peak)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=118_000)
    parser.add_argument("--annotations", type=int, default=860_000)
    parser.add_argument(
        "--file",
        type=Path,
        help="keep the made-up file here, or use the one that is here",
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = options.file or Path(folder) / "large.json"
        if not file.exists():
            make(file, options.images, options.annotations)
        print(
            f"{options.images} images, {options.annotations} annotations, {file.stat().st_size / 1e6:.0f} MB"
        )
        print(f"{'':28}{'seconds':>10}{'peak MB':>10}")
        found = {}
        for job in JOBS:
            found[job] = measure(job, file)
            print(
                f"{job:28}{found[job][0]:10.1f}{found[job][1] / 1e6:10.0f}", flush=True
            )
        ours, limit = (
            found["cvtk: read, check, split"],
            found["json.load"][0] + found["pycocotools.COCO"][0],
        )
        print(f"faster than both together: {ours[0] < limit}")
        print(f"at most json's memory: {ours[1] <= found['json.load'][1]}")


if __name__ == "__main__":
    main()
