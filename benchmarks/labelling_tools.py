"""Do pre-annotations open in the labelling tools? They are read by the tools' own packages, and compared.

Blobs of 8 to 200 pixels are drawn, some in several parts and some with holes, as a model would have found them. cvtk
writes them for each tool (`cvtk data convert --to`), and the tool's package reads the files:

- LabelMe: `LabelFile`, with which the program opens a file;
- Label Studio: the SDK validates each prediction by the labelling interface (`config.xml`), and decodes brushes;
- CVAT: `datumaro`, which reads `annotations.xml` of CVAT for images 1.1.

What they read, polygons and bitmaps, is compared with the masks that went in. Each package needs an environment of its
own; name its Python:

    python benchmarks/labelling_tools.py --labelme PYTHON --labelstudio PYTHON --cvat PYTHON
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as api
from scipy.ndimage import gaussian_filter

from cvtk.data.convert import convert
from cvtk.io import encode_mask
from cvtk.tables import table

SIZE = 400
IMAGES = 10
PER_IMAGE = 12
CLASSES = ["leaf", "イチゴ"]

# What runs in the tools' environments: tells the package's version, and for each image its shapes as
# [class, score, group, polygon as x, y, x, ... or bitmap (SIZE, SIZE)].
READERS = {
    "labelme": """
import labelme
from labelme._label_file import LabelFile
def read(folder):
    for file in sorted(folder.rglob("*.json")):
        yield file.stem, list(map(shape_of, LabelFile(str(file)).shapes))
def shape_of(s):
    shape = np.ravel(s["points"]).astype(float).tolist()
    if s["mask"] is not None:
        left, top, right, bottom = map(int, shape)
        shape = np.zeros((SIZE, SIZE), bool)
        shape[top : bottom + 1, left : right + 1] = s["mask"]
    return [s["label"], s["other_data"]["score"], s["group_id"], shape]
version = "LabelMe " + labelme.__version__
""",
    "labelstudio": """
from importlib.metadata import version as version_of
from label_studio_sdk.converter.brush import decode_rle
from label_studio_sdk.label_interface import LabelInterface
def read(folder):
    interface = LabelInterface((folder / "config.xml").read_text("utf-8"))
    for task in json.loads((folder / "tasks.json").read_text("utf-8")):
        [prediction] = task["predictions"]
        wrong = interface.validate_prediction(prediction, return_errors=True)
        assert not wrong, wrong
        yield Path(task["data"]["image"]).stem, list(map(shape_of, prediction["result"]))
def shape_of(region):
    value = region["value"]
    if region["type"] == "brushlabels":
        shape = decode_rle(value["rle"]).reshape(SIZE, SIZE, 4)[..., 3] > 0
    else:
        shape = (np.ravel(value["points"]) * SIZE / 100).tolist()
    return [value[region["type"]][0], region["score"], None, shape]
version = "Label Studio's SDK " + version_of("label-studio-sdk")
""",
    "cvat": """
import datumaro
def read(folder):
    found = datumaro.Dataset.import_from(str(folder), "cvat")
    names = [label.name for label in found.categories()[datumaro.AnnotationType.label]]
    for item in found:
        yield item.id, [shape_of(a, names) for a in item.annotations]
def shape_of(a, names):
    is_mask = a.type == datumaro.AnnotationType.mask
    shape = np.asarray(a.image, bool) if is_mask else list(a.points)
    return [names[a.label], float(a.attributes["score"]), a.group or None, shape]
version = "datumaro " + datumaro.__version__
""",
}
READ = """
import json, sys
from pathlib import Path
import numpy as np
SIZE = int(sys.argv[2])
{reader}
found = dict(read(Path(sys.argv[1])))
text = json.dumps([version, found], default=lambda mask: np.flatnonzero(mask).tolist())
Path(sys.argv[3]).write_text(text)
"""


def blob(random: np.random.Generator) -> NDArray[np.bool_]:
    """An object of 8 to 200 pixels; some have several parts or holes."""
    side = int(random.integers(8, 200))
    noise = gaussian_filter(random.normal(size=(side, side)), side / 6)
    rows, columns = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    noise -= noise.std() * (1.5 * np.hypot(rows, columns) - 1)
    mask = np.zeros((SIZE, SIZE), bool)
    y, x = random.integers(0, SIZE - side, 2)
    mask[y : y + side, x : x + side] = noise > 0
    return mask


def predictions(folder: Path) -> tuple[Path, dict[str, list[NDArray[np.bool_]]]]:
    """`instances.json` with its images, and the masks of each image."""
    random = np.random.default_rng(0)
    masks, images, annotations = {}, [], []
    for number in range(1, IMAGES + 1):
        name = f"{number:02d}"
        Image.new("RGB", (SIZE, SIZE)).save(folder / f"{name}.png")
        place = {"id": number, "width": SIZE, "height": SIZE}
        images.append({**place, "file_name": f"{name}.png"})
        masks[name] = [blob(random) for _ in range(PER_IMAGE)]
        for index, mask in enumerate(masks[name]):
            item = {"id": len(annotations) + 1, "image_id": number, "iscrowd": 0}
            item |= {"category_id": 1 + index % 2, "area": int(mask.sum())}
            item |= {"segmentation": encode_mask(mask), "bbox": [0, 0, 1, 1]}
            annotations.append({**item, "score": (index + 1) / 20})
    categories = [{"id": k, "name": name} for k, name in enumerate(CLASSES, 1)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    file = folder / "instances.json"
    file.write_text(json.dumps(content))
    return file, masks


def objects_of(shapes: list) -> list[tuple[str, float, NDArray[np.bool_]]]:
    """Class, score and mask of the objects of an image; the shapes of a group are one."""
    objects: dict[object, tuple[str, float, NDArray[np.bool_]]] = {}
    for number, (name, score, group, shape) in enumerate(shapes):
        if isinstance(shape[0], float):
            mask = api.decode(api.merge(api.frPyObjects([shape], SIZE, SIZE))) > 0
        else:
            mask = np.isin(np.arange(SIZE * SIZE), shape).reshape(SIZE, SIZE)
        key = ("alone", number) if group is None else ("group", group)
        if key in objects:
            mask = mask | objects[key][2]
        objects[key] = (name, score, mask)
    return list(objects.values())


def row(tool: str, python: str, folder: Path, file: Path, masks: dict) -> list:
    """How the tool's package reads what cvtk writes for it."""
    target, out = folder / tool, folder / f"{tool}.json"
    convert(file, target, target_format=tool, image_folder=folder)
    code = READ.format(reader=READERS[tool])
    command = [python, "-c", code, str(target), str(SIZE), str(out)]
    environment = {**os.environ, "LOGURU_LEVEL": "WARNING"}  # LabelMe tells much
    subprocess.run(command, check=True, env=environment)
    version, found = json.loads(out.read_text())
    right, ious, count = 0, [], 0
    for name, expected in masks.items():
        objects = objects_of(found[name])
        count += len(objects)
        for index, ((label, score, mask), known) in enumerate(
            zip(objects, expected, strict=True)
        ):
            right += label == CLASSES[index % 2] and score == (index + 1) / 20
            ious.append((mask & known).sum() / (mask | known).sum())
    values = [f"{value:.3f}" for value in (np.median(ious), min(ious))]
    return [version, count, right, *values]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for tool in READERS:
        parser.add_argument(f"--{tool}", help="Python that has the package")
    options = vars(parser.parse_args())
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "photos").mkdir()
        file, masks = predictions(folder / "photos")
        used = [tool for tool in READERS if options[tool]]
        rows = [row(t, options[t], file.parent, file, masks) for t in used]
    print(f"{IMAGES * PER_IMAGE} objects in {IMAGES} images\n")
    header = ["read by", "objects", "class and score", "IoU, median", "lowest"]
    print(table(rows, header, right=range(1, 5)))


if __name__ == "__main__":
    main()
