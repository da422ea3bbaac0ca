"""One small set in every format, written by hand as the tools' own documentation shows it.

Each is of the photograph `é b.png` (40 x 30 pixels, in the folder `photos`) and has at least a `leaf`.
"""

from __future__ import annotations

import base64
import io
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

W, H = 40, 30
SQUARE = [[5.0, 4.0], [25.0, 4.0], [25.0, 20.0], [5.0, 20.0]]  # 20 x 16 pixels
FLAT = [v for p in SQUARE for v in p]


def square() -> np.ndarray:
    mask = np.zeros((H, W), np.uint8)
    mask[4:20, 5:25] = 1
    return mask


def ring() -> np.ndarray:
    """The square with a hole of 6 x 4 pixels."""
    mask = square()
    mask[10:14, 12:18] = 0
    return mask


def photo(file: Path, seed: int = 0, size: tuple[int, int] = (W, H)) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    cells = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    Image.fromarray(cells).resize(size, Image.Resampling.BICUBIC).save(file)
    return file


def png(array: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def coco_dict(**changes) -> dict:
    return {
        "images": [{"id": 1, "file_name": "photos/é b.png", "width": W, "height": H}],
        "annotations": [
            {
                "id": 1,
                "image_id": 1,
                "category_id": 1,
                "segmentation": [FLAT],
                "bbox": [5, 4, 20, 16],
                "area": 320,
                "iscrowd": 0,
            }
        ],
        "categories": [{"id": 1, "name": "leaf"}],
        **changes,
    }


def coco(folder: Path) -> Path:
    photo(folder / "photos" / "é b.png")
    file = folder / "all.json"
    file.write_text(json.dumps(coco_dict(), ensure_ascii=False), encoding="utf-8")
    return file


def labelme(folder: Path) -> Path:
    """LabelMe 5: polygon, rectangle, circle, mask, two parts of one group, and a line."""
    photo(folder / "photos" / "é b.png")

    def shape(kind, points, label="leaf", **more):
        base = {
            "label": label,
            "points": points,
            "group_id": None,
            "description": "",
            "shape_type": kind,
        }
        return {**base, "flags": {}, "mask": None, **more}

    inner = ring()[4:20, 5:25] != 0
    content = {
        "version": "5.5.0",
        "flags": {},
        "shapes": [
            shape("polygon", SQUARE),
            shape("rectangle", [[25, 20], [5, 4]], "box"),
            shape("circle", [[20, 15], [20, 25]], "disc"),
            shape("mask", [[5, 4], [24, 19]], "ring", mask=png(inner)),
            shape("polygon", [[1, 1], [4, 1], [4, 4], [1, 4]], "pair", group_id=7),
            shape("polygon", [[30, 1], [34, 1], [34, 4], [30, 4]], "pair", group_id=7),
            shape("linestrip", [[1, 1], [4, 1]], "stem"),
        ],
        "imagePath": "..\\photos\\é b.png",
        "imageData": None,
        "imageHeight": H,
        "imageWidth": W,
    }
    file = folder / "json" / "é b.json"
    file.parent.mkdir()
    file.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return folder


def voc(folder: Path) -> Path:
    """Pascal VOC: two boxes, and the masks of both; a border of 255 belongs to nobody."""
    photo(folder / "JPEGImages" / "é b.png")
    for name in ("Annotations", "SegmentationObject", "SegmentationClass"):
        (folder / name).mkdir()
    (folder / "Annotations" / "é b.xml").write_text(
        """<annotation><folder>JPEGImages</folder><filename>é b.png</filename>
        <size><width>40</width><height>30</height><depth>3</depth></size><segmented>1</segmented>
        <object><name>leaf</name><pose>Unspecified</pose><truncated>0</truncated><difficult>1</difficult>
          <bndbox><xmin>6</xmin><ymin>5</ymin><xmax>25</xmax><ymax>20</ymax></bndbox></object>
        <object><name>dog</name>
          <bndbox><xmin>31</xmin><ymin>3</ymin><xmax>36</xmax><ymax>9</ymax></bndbox></object>
        </annotation>""",
        encoding="utf-8",
    )
    objects, classes = square(), square() * 3
    objects[2:9, 30:36], classes[2:9, 30:36] = 2, 12
    objects[20, 5:25] = classes[20, 5:25] = 255
    objects[25:29, 2:9], classes[25:29, 2:9] = (
        3,
        8,
    )  # a cat that nobody put a box around
    for name, array in (
        ("SegmentationObject", objects),
        ("SegmentationClass", classes),
    ):
        image = Image.fromarray(array).convert("P")
        image = Image.new("P", (W, H))
        image.frombytes(array.tobytes())
        image.putpalette([v for i in range(256) for v in (i, 255 - i, i)])
        image.save(folder / name / "é b.png")
    return folder


def yolo(folder: Path) -> Path:
    """YOLO: a polygon and a box; a second image without a label file."""
    photo(folder / "images" / "train" / "é b.png")
    photo(folder / "images" / "val" / "empty.png", 1)
    (folder / "labels" / "train").mkdir(parents=True)
    outline = " ".join(f"{x / W} {y / H}" for x, y in SQUARE)
    text = f"1 {outline}\n0 {15 / W} {12 / H} {20 / W} {16 / H}\n"
    (folder / "labels" / "train" / "é b.txt").write_text(text)
    (folder / "data.yaml").write_text(
        "path: .\ntrain: images/train\nval: images/val\nnames:\n  0: box\n  1: leaf\n"
    )
    return folder


def via(folder: Path) -> Path:
    """VIA 2: a project with each of its shapes."""
    photo(folder / "photos" / "é b.png")

    def region(name, label="leaf", **shape):
        return {
            "shape_attributes": {"name": name, **shape},
            "region_attributes": {"name": label, "quality": {"good": True}},
        }

    regions = [
        region("polygon", all_points_x=[5, 25, 25, 5], all_points_y=[4, 4, 20, 20]),
        region("rect", "box", x=5, y=4, width=20, height=16),
        region("circle", "disc", cx=20, cy=15, r=10),
        region("ellipse", "egg", cx=20, cy=15, rx=12, ry=6, theta=0),
        region("polyline", "stem", all_points_x=[5, 25], all_points_y=[4, 4]),
    ]
    entry = {
        "filename": "é b.png",
        "size": 1234,
        "regions": regions,
        "file_attributes": {},
    }
    content = {
        "_via_settings": {},
        "_via_img_metadata": {"é b.png1234": entry},
        "_via_attributes": {"region": {"name": {"type": "text"}}, "file": {}},
    }
    file = folder / "via.json"
    file.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return file


def cvat(folder: Path) -> Path:
    """CVAT for images 1.1: polygon, box (turned by 90 degrees), ellipse, mask, polyline, tag."""
    photo(folder / "images" / "é b.png")
    inner = ring()[4:20, 5:25].ravel()
    edges = np.flatnonzero(np.diff(inner)) + 1
    runs = np.diff(np.concatenate(([0], edges, [inner.size]))).tolist()
    runs = runs if inner[0] == 0 else [0, *runs]
    points = ";".join(f"{x:.2f},{y:.2f}" for x, y in SQUARE)
    (folder / "annotations.xml").write_text(
        f"""<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
 <meta><task><labels><label><name>leaf</name></label><label><name>box</name></label></labels></task></meta>
 <image id="0" name="é b.png" width="40" height="30">
  <polygon label="leaf" source="manual" occluded="1" points="{points}" z_order="0">
   <attribute name="age">old</attribute></polygon>
  <box label="box" occluded="0" xtl="7.00" ytl="2.00" xbr="23.00" ybr="22.00" rotation="90.00" z_order="0"/>
  <ellipse label="disc" occluded="0" cx="20.00" cy="15.00" rx="10.00" ry="10.00" z_order="0"/>
  <mask label="ring" occluded="0" rle="{", ".join(map(str, runs))}" left="5" top="4" width="20" height="16"/>
  <polyline label="stem" occluded="0" points="1.0,1.0;5.0,5.0" z_order="0"/>
  <tag label="leaf" source="manual"/>
 </image>
</annotations>""",
        encoding="utf-8",
    )
    return folder


class BitWriter:
    def __init__(self):
        self.bits = ""

    def put(self, value, count):
        self.bits += f"{value:0{count}b}"

    def done(self):
        text = self.bits + "0" * (-len(self.bits) % 8)
        return [int(text[i : i + 8], 2) for i in range(0, len(text), 8)]


def brush(mask: np.ndarray) -> list[int]:
    """A Label Studio brush by the rules of rle-pack: runs for runs, literals for single values."""
    values = np.repeat(mask.ravel() * 255, 4)
    out = BitWriter()
    out.put(len(values), 32)
    out.put(7, 5)
    for size in (3, 7, 11, 15):
        out.put(size, 4)
    cuts = np.concatenate(([0], np.flatnonzero(np.diff(values)) + 1, [len(values)]))
    for a, b in pairwise(cuts):
        length = int(b - a)
        if length == 4:  # one pixel, as literals
            out.put(0, 1), out.put(0, 2), out.put(3, 4)
            for v in values[a:b]:
                out.put(int(v), 8)
        else:
            (
                out.put(1, 1),
                out.put(3, 2),
                out.put(length - 1, 16),
                out.put(int(values[a]), 8),
            )
    return out.done()


def labelstudio(folder: Path) -> Path:
    """Label Studio: polygon, rectangle, brush, and a choice that is no region; a name with its prefix."""
    photo(folder / "photos" / "é b.png")

    def region(kind, label, **value):
        key = f"{kind}labels"
        return {
            "id": label,
            "type": key,
            "original_width": W,
            "original_height": H,
            "image_rotation": 0,
            "value": {**value, key: [label]},
        }

    results = [
        region(
            "polygon", "leaf", points=[[x / W * 100, y / H * 100] for x, y in SQUARE]
        ),
        region(
            "rectangle",
            "box",
            x=5 / W * 100,
            y=4 / H * 100,
            width=50,
            height=16 / H * 100,
            rotation=0,
        ),
        region("brush", "ring", format="rle", rle=brush(ring())),
        {"id": "c", "type": "choices", "value": {"choices": ["ripe"]}},
    ]
    task = {
        "id": 11,
        "data": {"image": "/data/upload/3/0a1b2c3d-%C3%A9%20b.png"},
        "annotations": [
            {"id": 1, "result": [], "was_cancelled": True},
            {"id": 2, "result": results, "was_cancelled": False},
        ],
    }
    file = folder / "export.json"
    file.write_text(json.dumps([task]))
    return file


def masks(folder: Path) -> Path:
    """Images beside masks, a folder a class; each value is an object."""
    photo(folder / "images" / "é b.png")
    (folder / "masks" / "leaf").mkdir(parents=True)
    index = square().astype(np.uint16) * 300
    index[25:29, 2:9] = 1000
    Image.fromarray(index).save(folder / "masks" / "leaf" / "é b.png")
    return folder


ALL = {
    "coco": coco,
    "labelme": labelme,
    "voc": voc,
    "yolo": yolo,
    "via": via,
    "cvat": cvat,
    "labelstudio": labelstudio,
    "masks": masks,
}
