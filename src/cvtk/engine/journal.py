"""What an inference has found so far, on disk: it grows image by image, and a stopped run goes on from it."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from cvtk.data.predictions import Found, write_predictions
from cvtk.data.sources import ImageSource
from cvtk.errors import FileError
from cvtk.io import is_file, require_free

NAME = "instances.unfinished.jsonl"
LOCK = ".instances.lock"
_ANEW = "Use force=True to start anew."


class Journal:
    """A file of one line per image, beside the COCO file that it becomes.

    The first line says what the results depend on: the weights, the options, and the poses where a model is given any.

    Args:
        folder: Where the results are.
        run: What the results depend on, as JSON can hold it.
    """

    def __init__(self, folder: Path, run: dict[str, Any]) -> None:
        self.path = folder / NAME
        self._run = run
        self._file: TextIO | None = None
        self._lock: Any = None
        self._made_folder = False
        self._is_ours = False

    def open(self, *, force: bool) -> dict[str, Any]:
        """Begins the journal; or goes on with it, unless `force` says to start anew.

        Returns:
            The names of the images that are done, with their ids.

        Raises:
            FileError: It was begun in another way, or somebody else is writing it.
        """
        require_free(self.path, force=True)
        try:
            self._made_folder = not self.path.parent.exists()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._acquire()
            done = {}
            if self.path.exists() and not force:
                done = self._read_done()
            else:
                self._begin()
            self._file = self.path.open("a", encoding="utf-8")
        except OSError as error:
            raise FileError(
                f"{self.path.parent} cannot be written to ({error.strerror or error}).",
                "Check the folder, its permissions and the space on the disk.",
            ) from None
        return done

    def _acquire(self) -> None:
        """Keeps other processes out; the system gives the lock back when a process ends, however it ends."""
        from filelock import FileLock, Timeout

        lock = FileLock(self.path.parent / LOCK, blocking=False)
        try:
            lock.acquire()
            self._lock = lock
        except Timeout:
            raise FileError(
                f"Another inference is writing to {self.path.parent}.",
                "Wait for it, end it, or choose another --output folder.",
            ) from None
        except NotImplementedError:  # a file system without locks
            pass
        self._is_ours = True

    def _begin(self) -> None:
        self.path.write_text(json.dumps(self._run) + "\n", encoding="utf-8")

    def _read_done(self) -> dict[str, Any]:
        self._cut_to_whole_lines()
        done = {image["file_name"]: image["id"] for image, _ in self.entries()}
        if not done:
            self._begin()
            return {}
        with self.path.open(encoding="utf-8") as file:
            before = file.readline()
        for key, value in json.loads(before).items():
            if self._run.get(key) != value:
                raise FileError(
                    f"{self.path.parent} holds an inference that was begun with other {key}.",
                    f"Go on with the same {key}. {_ANEW}",
                )
        return done

    def _cut_to_whole_lines(self) -> None:
        """Removes the end of a line that was being written when the run was killed."""
        with self.path.open("rb+") as file:
            size = 0
            for line in file:
                size += len(line) if line.endswith(b"\n") else 0
            file.truncate(size)

    def add(self, found: Found) -> None:
        """Notes an image; it is on the disk when this returns."""
        assert self._file is not None
        self._file.write(json.dumps(found) + "\n")
        self._file.flush()

    def entries(self) -> Iterator[Found]:
        """The images and what was found in them, one at a time."""
        with self.path.open(encoding="utf-8") as file:
            next(file, None)
            for line in file:
                image, annotations = json.loads(line)
                yield image, annotations

    def finish(
        self, file: Path, categories: Sequence[dict[str, Any]], *, force: bool
    ) -> int:
        """Makes the COCO file of the journal, which is removed then.

        Returns:
            How many objects there are.
        """
        if self._file is not None:
            self._file.close()
        count = write_predictions(file, categories, self.entries(), force=force)
        self.path.unlink()
        return count

    def close(self) -> None:
        """Lets go of the file, with what is in it; one without any image is removed."""
        if not self._is_ours:
            return
        if self._file is not None:
            self._file.close()
        if self.path.is_file() and not any(True for _ in self.entries()):
            self.path.unlink()
        if self._lock is not None:
            self._lock.release()
            (self.path.parent / LOCK).unlink(missing_ok=True)
        if self._made_folder:
            with contextlib.suppress(OSError):
                self.path.parent.rmdir()  # where nothing else was written to it


def require_not_stopped(folder: Path) -> None:
    """Checks that no inference was stopped in a folder.

    Raises:
        FileError: One was, and has done an image.
    """
    if not is_file(folder / NAME):
        return
    with (folder / NAME).open("rb") as file:
        done = sum(line.endswith(b"\n") for line in file) - 1
    if done > 0:
        raise FileError(
            f"{folder} holds an inference that was stopped after {done} images.",
            "Use resume=True to go on, or force=True to start anew.",
        )


def require_same_images(
    images: Sequence[ImageSource], done: dict[str, Any], journal: Path
) -> None:
    """Checks that the images that are done are those that are asked for now.

    Raises:
        FileError: One is not among them any more, or has another id.
    """
    ids = {image.name: image.id for image in images}
    for name, number in done.items():
        if ids.get(name) != number:
            raise FileError(
                f"{journal.parent} holds an inference of other images: {name} was number {number} there.",
                f"Go on with the same --data. {_ANEW}",
            )


def fingerprint(file: Path) -> str:
    """A hash of a file's content."""
    digest = hashlib.blake2b(digest_size=16)
    with file.open("rb") as stream:
        while block := stream.read(2**20):
            digest.update(block)
    return digest.hexdigest()
