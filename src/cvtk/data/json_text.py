"""JSON text as Python objects, with errors that say where in which file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw

from cvtk.errors import DataError


def _where(data: bytes, error: Exception) -> str:
    """The line and column that a decoder's message points to, with the text that stands there."""
    found = re.search(r"byte (\d+)", str(error))
    if not found:
        return str(error)
    at = int(found[1])
    line, column = data.count(b"\n", 0, at) + 1, at - data.rfind(b"\n", 0, at)
    near = data[max(at - 20, 0) : at + 20].decode("utf-8", "replace")
    reason = re.sub(r"JSON is malformed: | ?\(byte \d+\)", "", str(error))
    return f"{reason} at line {line}, column {column}, near {near!r}"


def parse_json(data: bytes, file: str | Path, type: Any = Any) -> Any:
    """JSON text as Python objects.

    `NaN` and `Infinity`, which Python writes though JSON has no such numbers, are read as text, so that
    the item that holds one is named by whoever expects a number there.

    Raises:
        DataError: It is not JSON, or not of the type asked for.
    """
    if data.startswith(
        b"\xef\xbb\xbf"
    ):  # the mark that Windows editors put before UTF-8
        data = data[3:]
    try:
        try:
            return msgspec.json.decode(data, type=type)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            text = json.dumps(
                json.loads(data.decode("utf-8"), parse_constant=str), ensure_ascii=False
            )
            return msgspec.json.decode(text.encode("utf-8", "replace"), type=type)
    except msgspec.ValidationError as error:
        raise DataError(
            f"{file} is not of the form expected: {error}.", "Is this the right file?"
        ) from None
    except RecursionError:
        raise DataError(
            f"{file} is nested too deeply to be an annotation file.", "Check the file."
        ) from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file} is not UTF-8 text ({error}).", "Save it as UTF-8."
        ) from None
    except ValueError as error:
        try:
            msgspec.json.decode(data, type=Raw)
            where = str(error)
        except (ValueError, RecursionError) as first:
            where = _where(data, first)
        raise DataError(
            f"{file} is not JSON: {where}.", "Export it again from the labelling tool."
        ) from None
