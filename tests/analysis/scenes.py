"""Data sets and predictions for the tests of the analysis: scenes drawn by hand, and random ones."""

from __future__ import annotations

import json

import numpy as np
from pycocotools import mask as rle

from cvtk.io import encode_mask
from cvtk.metrics import from_predictions, ground_truth

SIZE = (240, 320)  # height, width
CLASSES = ("leaf", "stem", "root")


def rectangle(x, y, w, h):
    mask = np.zeros(SIZE, dtype=np.uint8)
    mask[int(y) : int(y + h), int(x) : int(x + w)] = 1
    return encode_mask(mask)


def item(image, name, box, **more):
    """A true object or, with a score, a prediction: a filled rectangle."""
    mask = rectangle(*box)
    return {
        "image_id": image,
        "category_id": CLASSES.index(name) + 1,
        "bbox": list(box),
        "segmentation": mask,
        "area": float(rle.area(mask)),
        "iscrowd": 0,
        **more,
    }


class Scene:
    """A data set that grows object by object, each in a cell of its own of 40 x 40 pixels."""

    per_image = 48

    def __init__(self):
        self.truth, self.predictions, self.cells = [], [], 0

    def place(self):
        """The image and the corner of the next free cell."""
        image, cell = divmod(self.cells, self.per_image)
        self.cells += 1
        return image + 1, (cell % 8) * 40 + 5, (cell // 8) * 40 + 5

    def found(self, name="leaf", score=0.9, **more):
        image, x, y = self.place()
        self.truth.append(item(image, name, [x, y, 20, 20], **more))
        self.predictions.append(item(image, name, [x, y, 20, 20], score=score))

    def missed(self, name="leaf"):
        image, x, y = self.place()
        self.truth.append(item(image, name, [x, y, 20, 20]))

    def duplicate(self, name="leaf", score=0.5):
        self.found(name)
        last = self.predictions[-1]
        self.predictions.append({**last, "score": score})

    def wrong_class(self, name="leaf", told="stem", score=0.7):
        image, x, y = self.place()
        self.truth.append(item(image, name, [x, y, 20, 20]))
        self.predictions.append(item(image, told, [x, y, 20, 20], score=score))

    def poor_mask(self, name="leaf", told=None, score=0.6):
        """A prediction that covers a quarter of its object: IoU 0.25."""
        image, x, y = self.place()
        self.truth.append(item(image, name, [x, y, 20, 20]))
        self.predictions.append(item(image, told or name, [x, y, 10, 10], score=score))

    def background(self, name="leaf", score=0.4):
        image, x, y = self.place()
        self.predictions.append(item(image, name, [x, y, 20, 20], score=score))

    def write(self, folder):
        images = -(-self.cells // self.per_image)
        return write(folder, self.truth, images)

    def read(self, folder, kind="segm"):
        truth = ground_truth(self.write(folder))
        return truth, from_predictions(truth, self.predictions, kind)


def write(folder, truth, images=3, classes=CLASSES):
    content = {
        "images": [
            {"id": n, "file_name": f"{n}.png", "width": SIZE[1], "height": SIZE[0]}
            for n in range(1, images + 1)
        ],
        "categories": [{"id": n, "name": name} for n, name in enumerate(classes, 1)],
        "annotations": [{**a, "id": n} for n, a in enumerate(truth, 1)],
    }
    (folder / "truth.json").write_text(json.dumps(content), encoding="utf-8")
    return folder / "truth.json"


def random_scene(seed, images=4, objects=12, crowd=False, round_scores=False):
    """True objects, and predictions that are shifted, missed, doubled or of another class."""
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for image in range(1, images + 1):
        for _ in range(rng.integers(0, objects)):
            name = str(rng.choice(CLASSES, p=[0.5, 0.4, 0.1]))
            side = rng.choice([12, 25, 60])
            box = [*rng.integers(0, 240 - side, 2).tolist(), int(side), int(side)]
            truth.append(
                item(image, name, box, iscrowd=int(crowd and rng.random() < 0.15))
            )
            for _ in range(rng.integers(0, 4)):
                x, y = (max(0, v + rng.normal(0, side / 10)) for v in box[:2])
                told = name if rng.random() < 0.8 else str(rng.choice(CLASSES))
                score = round(float(rng.random()), 1 if round_scores else 9)
                found.append(item(image, told, [x, y, *box[2:]], score=score))
    return truth, found
