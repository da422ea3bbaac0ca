"""Architectures that are given poses: which these are, and where the poses of images come from."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from cvtk import data
from cvtk.data.keypoints import keypoints_of, names_of
from cvtk.data.sources import ImageSource
from cvtk.data.types import Annotation, Id
from cvtk.engine.config_files import read_architecture
from cvtk.engine.spec import ModelSpec
from cvtk.errors import DataError

Instance: TypeAlias = dict[str, Any]

_TYPE = "Pose2Seg"
_REMEDY = "Mark the keypoints, or choose another architecture: see docs/pose2seg.md."


def is_given_poses(cfg: Any) -> bool:
    """Whether the network of a configuration finds the masks of given poses."""
    return bool(cfg["model"].get("type") == _TYPE)


def takes_poses(spec: ModelSpec) -> bool:
    """Whether an architecture learns from poses."""
    return is_given_poses(read_architecture(spec.config))


def fit_to_poses(
    cfg: dict[str, Any], poses: dict[str, Any], classes: Sequence[str]
) -> None:
    """Fits a configuration to the poses of a training set, which `check_poses` has checked."""
    from cvtk.pose2seg import fit_poses

    fit_poses(cfg, poses, classes, "the training set")


def check_poses(
    coco: dict[str, Any], train: dict[str, Any], classes: Sequence[str], file: Path
) -> list[str]:
    """Checks the poses of a set for a training.

    Args:
        coco: The set.
        train: The one to learn from.
        classes: The class names.
        file: The name of the set.

    Returns:
        A sentence on objects without a pose, if there are any.

    Raises:
        DataError: They cannot be used.
    """
    from cvtk.pose2seg import PoseError, require_poses
    from cvtk.pose2seg.poses import describe_keypoints

    try:
        names = describe_keypoints(train, classes, file)["keypoints"]
        marked = require_poses(coco, classes, names, file)
    except PoseError as error:
        raise DataError(f"{error}.", _REMEDY) from None
    total = sum(not item["iscrowd"] for item in coco["annotations"])
    if marked >= total:
        return []
    return [
        f"Note: {total - marked} of {total} objects in {file} have no keypoints. They are not learned from, and count"
        " as missed where AP is measured."
    ]


class Poses:
    """The poses of images, from the COCO files that name them; each is read once. Any thread may ask.

    Args:
        classes: Of the network.
        keypoints: The names of its keypoints.
    """

    def __init__(self, classes: Sequence[str], keypoints: Sequence[str]) -> None:
        self._classes, self._keypoints = list(classes), list(keypoints)
        self._read: dict[Path, dict[Id, list[Instance]]] = {}
        self._lock = threading.Lock()

    def require(self, images: Iterable[ImageSource]) -> None:
        """Checks that images come with poses. Files are read anew: they may have changed since the last prediction.

        Raises:
            DataError: They do not, or with those of other keypoints.
        """
        with self._lock:
            self._read.clear()
        for image in images:
            self.of(image)

    def of(self, image: ImageSource) -> list[Instance]:
        """The poses of an image, as the network's pipeline takes instances. Raises as `require` does."""
        if image.listed_in is None:
            raise DataError(
                f"{image.name} comes without poses, and this model finds the masks of poses that it is given.",
                "Name a COCO file with keypoints as --data.",
            )
        with self._lock:
            if image.listed_in not in self._read:
                self._read[image.listed_in] = self._read_file(image.listed_in)
            return self._read[image.listed_in].get(image.id, [])

    def fingerprint(self, images: Iterable[ImageSource]) -> str:
        """A hash of the poses of images. Raises as `require` does."""
        poses = json.dumps([self.of(image) for image in images])
        return hashlib.blake2b(poses.encode(), digest_size=16).hexdigest()

    def _read_file(self, file: Path) -> dict[Id, list[Instance]]:
        from cvtk.pose2seg import PoseError, read_poses

        dataset = data.read(file)
        coco = {
            "categories": [
                {"id": c.id, "name": c.name, "keypoints": names_of(c)}
                for c in dataset.categories
            ],
            "images": [{"id": image.id} for image in dataset.images],
            "annotations": [_plain(each) for each in dataset.annotations],
        }
        try:
            return read_poses(coco, self._classes, self._keypoints, file)
        except PoseError as error:
            raise DataError(f"{error}.", "Mark them, or name another file.") from None


def _plain(annotation: Annotation) -> dict[str, Any]:
    """What `cvtk.pose2seg` needs of an annotation."""
    points, score = keypoints_of(annotation), annotation.score
    return {
        "id": annotation.id,
        "image_id": annotation.image_id,
        "category_id": annotation.category_id,
        "iscrowd": int(annotation.is_crowd),
        "keypoints": [] if points is None else points.ravel().tolist(),
        "score": 1.0 if score is None else score,
    }
