"""How wrong measurements are by the size of objects, and how long they take: cvtk beside scikit-image.

Ellipses and rectangles (1 : 1, 3 : 2 and 3 : 1) are drawn at 36 angles, each at another place between the pixels: a
pixel belongs to the shape if its centre does. Errors are those of cvtk's area, perimeter, length and width, and of
scikit-image's `perimeter`, `perimeter_crofton` and `feret_diameter_max`, against the formulas: typical (root mean
square) and worst, in percent. The size is the shorter axis or side.

For the time, ellipses are drawn all over one large image, and measured by `cvtk.measure_objects` from run lengths,
and by scikit-image's `regionprops` from an image of labels. Colours are left out.

    python benchmarks/measure.py [--small]
"""

from __future__ import annotations

import argparse
import time
import tracemalloc

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as api
from scipy.special import ellipe
from skimage.measure import regionprops

from cvtk.io import CocoRLE
from cvtk.measure.measure import measure_objects
from cvtk.measure.shape import shape_of
from cvtk.results import Result
from cvtk.tables import table

RATIOS = (1.0, 1.5, 3.0)
HEADER = [
    "shape",
    "pixels",
    "area",
    "perimeter",
    "length",
    "width",
    "perimeter",
    "crofton",
    "feret_max",
]


def draw(kind: str, length: float, width: float, angle: float, offset: NDArray):
    """A shape as a mask (height, width), its long axis turned by an angle in degrees."""
    size = int(np.hypot(length, width)) + 6
    y, x = np.mgrid[:size, :size] + 0.5
    x, y = x - size / 2 - offset[0], y - size / 2 - offset[1]
    turn = np.deg2rad(angle)
    along = (x * np.cos(turn) - y * np.sin(turn)) / (length / 2)
    across = (x * np.sin(turn) + y * np.cos(turn)) / (width / 2)
    if kind == "ellipse":
        mask = along**2 + across**2 < 1
    else:
        mask = (abs(along) < 1) & (abs(across) < 1)
    return mask[mask.any(axis=1)][:, mask.any(axis=0)]


def truth(kind: str, length: float, width: float) -> list[float]:
    """Area, perimeter, largest and smallest Feret diameter."""
    if kind == "ellipse":
        perimeter = 2 * length * float(ellipe(1 - (width / length) ** 2))
        return [np.pi / 4 * length * width, perimeter, length, width]
    return [length * width, 2 * (length + width), float(np.hypot(length, width)), width]


def errors(kind: str, width: int, angles: int = 36) -> NDArray[np.float64]:
    """The errors of all measurements (shapes, 7), as shares of the truth."""
    random = np.random.default_rng(0)
    found = []
    for ratio in RATIOS:
        area, perimeter, length, smallest = truth(kind, ratio * width, width)
        known = [area, perimeter, length, smallest, perimeter, perimeter, length]
        for angle in np.arange(angles) * 180 / angles:
            offset = random.uniform(-0.5, 0.5, 2)
            mask = draw(kind, ratio * width, width, angle, offset)
            shape = shape_of(mask)
            region = regionprops(mask.astype(np.uint8))[0]
            measured = [shape.area, shape.perimeter, shape.length, shape.width]
            measured += [region.perimeter, region.perimeter_crofton]
            measured += [region.feret_diameter_max]
            found.append(np.array(measured) / known - 1)
    return np.array(found)


def show_errors(sizes: list[int]) -> None:
    rows = []
    for kind in ("ellipse", "rectangle"):
        for size in sizes:
            share = 100 * errors(kind, size)
            typical = np.sqrt((share**2).mean(axis=0))
            worst = abs(share).max(axis=0)
            cells = [f"{t:.1f} ({w:.1f})" for t, w in zip(typical, worst, strict=True)]
            rows.append([kind, size, *cells])
    print("Errors in percent, typical (worst); the last three are scikit-image's\n")
    print(table(rows, HEADER, right=range(1, len(HEADER))))


def run_lengths(mask: NDArray, x: int, y: int, side: int) -> CocoRLE:
    """A small mask put into a square image at x, y: only the columns it reaches are made."""
    height, width = mask.shape
    columns = np.zeros((side, width), bool)
    columns[y : y + height] = mask
    flat = columns.ravel(order="F")
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1 + x * side
    ends = [0, *changes.tolist(), side * side]
    rle = api.frPyObjects(
        {"size": [side, side], "counts": np.diff(ends).tolist()}, side, side
    )
    return {"size": [side, side], "counts": rle["counts"].decode("ascii")}


def scene(side: int, count: int) -> tuple[Result, NDArray[np.int32]]:
    """Ellipses of 20 to 100 pixels on a grid, as a result and as an image of labels."""
    random = np.random.default_rng(1)
    labels = np.zeros((side, side), np.int32)
    per_row = int(np.ceil(np.sqrt(count)))
    step = side // per_row
    rles, boxes = [], []
    for number in range(count):
        length, width = random.uniform(20, min(100, step - 4), 2)
        shape = draw("ellipse", length, width, random.uniform(0, 180), np.zeros(2))
        height, width = shape.shape
        y, x = number // per_row * step + 1, number % per_row * step + 1
        labels[y : y + height, x : x + width][shape] = number + 1
        rles.append(run_lengths(shape, x, y, side))
        boxes.append([x, y, width, height])
    names = ("object",)
    zeros = np.zeros(count, int)
    result = Result("-", side, side, names, (1,), zeros, zeros, boxes, rles)
    return result, labels


def show_times(side: int, count: int) -> None:
    result, labels = scene(side, count)

    def by_cvtk() -> None:
        measure_objects(result, colours=False)

    def by_skimage() -> None:
        for region in regionprops(labels):
            _ = region.area, region.perimeter_crofton, region.feret_diameter_max
            _ = region.axis_major_length, region.orientation, region.solidity

    rows = []
    for name, run in (("cvtk", by_cvtk), ("regionprops", by_skimage)):
        run()  # imports
        start = time.perf_counter()
        run()
        seconds = time.perf_counter() - start
        tracemalloc.start()
        run()
        peak = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
        rows.append([name, f"{seconds:.2f}", f"{peak:.0f}"])
    print(f"\n{count} objects in an image of {side} x {side} pixels\n")
    print(table(rows, ["", "seconds", "peak MB"], right=(1, 2)))
    held = labels.nbytes / 2**20
    print(f"The image of labels that regionprops needs is another {held:.0f} MB.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="a quick look")
    small = parser.parse_args().small
    show_errors([10, 40] if small else [5, 10, 20, 40, 80, 100])
    show_times(*(1000, 50) if small else (8000, 2000))


if __name__ == "__main__":
    main()
