"""What goes wrong, as the codes that the platform shows."""

from __future__ import annotations

from enum import IntEnum

from cvtk.errors import (
    CvtkError,
    DataError,
    FileError,
    LossError,
    ModelError,
    NetworkError,
    OptionError,
)


class Code(IntEnum):
    """The return codes of the protocol (`ymir_exc.code.ExecutorReturnCode`)."""

    NONE = 0
    OTHER = 160004
    CONFIGURATION = 300001
    DATA = 300002
    IMAGE = 300003
    MODEL = 300004
    CUDA = 300101
    NO_GPU = 300102
    MEMORY = 300103
    NOT_A_NUMBER = 300201
    NETWORK = 300301


class Failure(CvtkError):
    """A failure whose code is known.

    Args:
        code: The code.
        message: What is wrong.
        remedy: What to do about it.
    """

    def __init__(self, code: Code, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.code = code


# The more special kinds first.
_KINDS: tuple[tuple[type[BaseException], Code], ...] = (
    (LossError, Code.NOT_A_NUMBER),
    (NetworkError, Code.NETWORK),
    (ModelError, Code.MODEL),
    (OptionError, Code.CONFIGURATION),
    (DataError, Code.DATA),
    (FileError, Code.DATA),
    (MemoryError, Code.MEMORY),
)


def code_of(error: BaseException) -> Code:
    """The code of an error, by its kind; of PyTorch's errors, by their name and text."""
    if isinstance(error, Failure):
        return error.code
    for kind, code in _KINDS:
        if isinstance(error, kind):
            return code
    if type(error).__name__ == "OutOfMemoryError":  # torch.cuda's
        return Code.MEMORY
    if isinstance(error, RuntimeError) and "CUDA" in str(error):
        return Code.CUDA
    return Code.OTHER
