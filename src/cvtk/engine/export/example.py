"""The example beside an exported file: a short script that runs it without cvtk."""

from __future__ import annotations

import json
import re
from pathlib import Path

from cvtk.exported.description import Description
from cvtk.exported.kinds import Kind
from cvtk.io import atomic_write, templates_folder


def write_example(
    script: Path, model: str, kind: Kind, description: Description, *, force: bool
) -> None:
    """Writes the example.

    Args:
        script: The script to write.
        model: Name of the exported file, which lies beside it.
        kind: Of the exported file.
        description: What the file says of itself.
        force: Whether a script of that name may be replaced.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates_folder()),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,
    )
    plain = re.fullmatch(r"[\w.-]+", model, re.ASCII) is not None
    text = environment.get_template("exported.py.j2").render(
        model=json.dumps(model),
        kind=kind,
        title=model if plain else "an exported model",
        script=script.name if plain else "script.py",
        image=description.image,
        masks=description.masks,
    )
    with atomic_write(script, force=force) as part:
        part.write_text(text, encoding="utf-8")
