"""How a helper script runs: its main function, and how mistakes end."""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Callable
from pathlib import Path

from cvtk import __version__
from cvtk.errors import CvtkError, printable, stopped_by_user
from cvtk.log import show_messages
from cvtk.scripts.stamp import Stamp, read_stamp
from cvtk.scripts.stop import Stop


def run(main: Callable[[], None], script: str = "") -> None:
    """Runs a script's main function; a user's mistake ends in one readable line.

    Args:
        main: The function.
        script: The script's own path (`__file__`), whose stamp tells which cvtk made it.
    """
    show_messages()
    # Python's last search for garbage, among all that PyTorch and MMDetection are, takes longer than the rest of
    # the end: ten seconds on a busy computer.
    atexit.register(gc.freeze)
    stamp = read_stamp(script or sys.argv[0])
    with Stop() as stop:
        try:
            main()
        except (Exception, KeyboardInterrupt) as error:
            if stop.asked or stopped_by_user(error):
                sys.exit(_stopped())
            sentence = _sentence(error, script or sys.argv[0], stamp)
            if not sentence:
                raise
            sys.exit(f"Error: {sentence}")


def _sentence(error: BaseException, script: str, stamp: Stamp | None) -> str:
    """What a user is told of an error; empty for a mistake in the code, whose traceback is of use."""
    if isinstance(error, CvtkError):
        return error.on_command_line()
    if isinstance(error, OSError):
        return _system_error(error)
    if stamp is None or stamp.version == __version__:
        return ""
    if isinstance(error, (TypeError, AttributeError)):
        return _other_version(script, stamp, error)
    return ""


def _stopped() -> str:
    if "train" in sys.argv[1:2]:
        return "Stopped. The same command with --resume goes on from the last epoch."
    if "inference" in sys.argv[1:2]:
        return "Stopped. The same command with --resume goes on from the last image."
    return "Stopped."


def _system_error(error: OSError) -> str:
    name = f"{error.filename}: " if error.filename else ""
    return printable(
        f"{name}{error.strerror or error}. Check the folder, its permissions and the space on the disk."
    )


def _other_version(script: str, stamp: Stamp, error: Exception) -> str:
    name = Path(script).name
    return printable(
        f"{name} was made by cvtk {stamp.version}, and this is cvtk {__version__}, which cannot run it"
        f" ({error}). Make it anew: cvtk create --script {name} --task {stamp.task} --model {stamp.model}"
        f" --force; or install that version: pip install cvtk=={stamp.version}"
    )
