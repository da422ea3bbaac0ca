"""How images reach a network: turned as they are displayed, whatever their format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmcv.transforms import LoadImageFromFile

from cvtk.data.images import probe, read_image
from cvtk.recipe.nodes import each_dict

# Formats that OpenCV, with which MMDetection reads, always turns by EXIF as they are displayed.
_TURNED_BY_OPENCV = {".jpg", ".jpeg", ".png", ".bmp"}


class ReadImage(LoadImageFromFile):  # type: ignore[misc]
    """MMDetection's first step, and for images that OpenCV would not turn, cvtk's own reader."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Reads the image at `img_path` into `img`, (H, W, 3) in BGR."""
        path = Path(results["img_path"])
        opencv_turns = path.suffix.lower() in _TURNED_BY_OPENCV
        if opencv_turns or not probe(path, decode=False).opencv_differs:
            read: dict[str, Any] | None = super().transform(results)
            return read
        image = read_image(path)[..., ::-1].copy()
        results["img"] = image.astype("float32") if self.to_float32 else image
        results["img_shape"] = results["ori_shape"] = image.shape[:2]
        return results


def read_as_displayed(node: Any) -> None:
    """Puts `ReadImage` in the place of MMDetection's step, everywhere in a configuration."""
    for part in each_dict(node):
        if str(part.get("type")).rsplit(".", 1)[-1] == "LoadImageFromFile":
            part["type"] = ReadImage
