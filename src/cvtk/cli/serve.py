"""`cvtk serve`: a model as a web service on this machine."""

from __future__ import annotations

from typing import Any

import click

from cvtk.cli.declared import declared_options
from cvtk.serve.options import ServeOptions


@click.command(
    epilog="""\b
Examples:
  cvtk serve outputs/fruit.onnx
  curl -F image=@photo.jpg "http://127.0.0.1:8000/predict?score=0.5"
  curl -F image=@photo.jpg "http://127.0.0.1:8000/predict?format=png" --output drawn.png"""
)
@declared_options(ServeOptions)
def command(**values: Any) -> None:
    """Answer with what a model finds in images, over HTTP: trained weights or an exported model.

    At http://127.0.0.1:8000/ is a page to drop images on, at /docs how programs ask. Ctrl+C ends it.
    """
    from cvtk.serve.run import serve

    serve(ServeOptions(**values))
