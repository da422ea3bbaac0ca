"""XML and the numbers in it, read safely."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from cvtk.errors import DataError
from cvtk.io import read_bytes


def parse_xml(data: bytes, file: Path) -> ElementTree.Element:
    """The root of an XML file; entities, which can be bombs, are refused.

    Raises:
        DataError: It is not XML.
    """
    if re.search(rb"<!(DOCTYPE|ENTITY)", data):
        raise DataError(
            f"{file} declares XML entities, which annotations never need.",
            "Export it again.",
        )
    try:
        return ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise DataError(
            f"{file} is not XML: {error}.", "Export it again from the labelling tool."
        ) from None


def read_xml(file: Path) -> ElementTree.Element:
    """Reads an XML file; see `parse_xml`."""
    return parse_xml(read_bytes(file), file)


def number(text: str | None, item: str, what: str) -> float:
    """A finite number from the text of an attribute or line.

    Raises:
        DataError: It is none.
    """
    try:
        value = float(text if text is not None else "")
    except ValueError:
        value = float("nan")
    if not np.isfinite(value) or abs(value) > 1e12:
        raise DataError(
            f"{item}: {what} is {text!r}, not a number.",
            "Correct it, or label it again.",
        )
    return value
