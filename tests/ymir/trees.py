"""Trees such as the platform gives to an executor: /in and /out, here in a folder of the test's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

CLASSES = ["berry", "leaf"]


class Tree:
    """One task: `inn` and `out` are its folders; `run` starts an executor on it, as the platform does."""

    def __init__(self, folder: Path, first_id: int = 1) -> None:
        self.inn, self.out = folder / "in", folder / "out"
        self.first_id = first_id
        (self.inn / "assets").mkdir(parents=True)
        (self.inn / "annotations").mkdir()
        (self.inn / "models").mkdir()
        self.out.mkdir()
        self.annotations = self.inn / "annotations" / "coco-annotations.json"
        self.env: dict[str, Any] = {
            "task_id": "t01",
            "protocol_version": "2.0.0",
            "run_training": False,
            "run_mining": False,
            "run_infer": False,
            "input": {
                "root_dir": str(self.inn),
                "assets_dir": str(self.inn / "assets"),
                "annotations_dir": str(self.inn / "annotations"),
                "models_dir": str(self.inn / "models"),
                "training_index_file": str(self.inn / "train-index.tsv"),
                "val_index_file": str(self.inn / "val-index.tsv"),
                "candidate_index_file": str(self.inn / "candidate-index.tsv"),
                "config_file": str(self.inn / "config.yaml"),
            },
            "output": {"root_dir": str(self.out)},
        }
        self.config: dict[str, Any] = {
            "task_id": "t01",
            "gpu_id": "",
            "gpu_count": 0,
            "class_names": CLASSES,
        }

    def image(self, number: int) -> Path:
        return self.inn / "assets" / f"{number % 3:02}" / f"{number:040x}.jpg"

    def add_images(self, count: int, size: tuple[int, int] = (96, 64)) -> None:
        """Images with a red square and a green bar each, and their annotations; the last image is empty."""
        first = self.first_id
        coco: dict[str, Any] = {
            "images": [],
            "annotations": [],
            "categories": [
                {"id": first, "name": "leaf", "supercategory": "none"},
                {"id": first + 1, "name": "berry", "supercategory": "none"},
                {"id": first + 2, "name": "stone", "supercategory": "none"},
            ],
        }
        for number in range(count):
            picture = Image.new("RGB", size, (40, 40, 60))
            path = self.image(number)
            path.parent.mkdir(exist_ok=True)
            name = str(path.relative_to(self.inn / "assets"))
            coco["images"].append(
                {
                    "id": first + number,
                    "file_name": name,
                    "width": size[0],
                    "height": size[1],
                }
            )
            boxes = {1: (8 + 4 * number, 8, 24, 24), 0: (10, 40 + number % 4, 60, 14)}
            if number == count - 1:
                boxes = {}
            for category, (x, y, w, h) in boxes.items():
                picture.paste(
                    (220, 30, 40) if category else (40, 200, 60), (x, y, x + w, y + h)
                )
                corners = [x, y, x + w, y, x + w, y + h, x, y + h]
                coco["annotations"].append(
                    {
                        "id": first + len(coco["annotations"]),
                        "image_id": first + number,
                        "category_id": first + category,
                        "bbox": [x, y, w, h],
                        "area": w * h,
                        "iscrowd": 0,
                        "segmentation": [corners],
                    }
                )
            picture.save(path, quality=95)
        self.annotations.write_text(json.dumps(coco))

    def ark(self, number: int) -> Path:
        return self.inn / "annotations" / f"{self.image(number).stem}.txt"

    def write_boxes(self) -> None:
        """Writes the boxes of each image as the platform does for detection: class, first and last pixels, and more."""
        coco = json.loads(self.annotations.read_text())
        names = {category["id"]: category["name"] for category in coco["categories"]}
        for number, image in enumerate(coco["images"]):
            lines = []
            for item in coco["annotations"]:
                if item["image_id"] == image["id"]:
                    x, y, w, h = item["bbox"]
                    category = CLASSES.index(names[item["category_id"]])
                    lines.append(
                        f"{category}, {x}, {y}, {x + w - 1}, {y + h - 1}, -1.0, 0.0\n"
                    )
            self.ark(number).write_text("".join(lines))

    def index(
        self,
        name: str,
        numbers: range | list[int],
        annotated: bool = True,
        boxes: bool = False,
    ) -> None:
        rows = [str(self.image(number)) for number in numbers]
        if annotated:
            files = [self.ark(n) if boxes else self.annotations for n in numbers]
            rows = [f"{row}\t{file}" for row, file in zip(rows, files, strict=True)]
        (self.inn / f"{name}-index.tsv").write_text("".join(f"{row}\n" for row in rows))

    def write(self) -> dict[str, str]:
        """Writes env.yaml and config.yaml; the environment that names them."""
        (self.inn / "env.yaml").write_text(yaml.safe_dump(self.env))
        (self.inn / "config.yaml").write_text(yaml.safe_dump(self.config))
        return {**os.environ, "DEFAULT_ENV_FILE_PATH": str(self.inn / "env.yaml")}

    def start(self, executor: Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-u", executor.name],
            cwd=executor.parent,
            env=self.write(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, executor: Path, code: int = 0) -> str:
        """Runs an executor; what it prints."""
        process = self.start(executor)
        said, _ = process.communicate(timeout=300)
        assert process.returncode == code, said
        return said

    @property
    def monitor(self) -> list[str]:
        """The parts of the monitor's line."""
        line = (self.out / "monitor.txt").read_text()
        assert line.endswith("\n") and line.count("\n") == 1
        return line[:-1].split("\t")

    def result(self) -> dict[str, Any]:
        """What result.yaml holds."""
        content: dict[str, Any] = yaml.safe_load(
            (self.out / "models" / "result.yaml").read_text()
        )
        return content
