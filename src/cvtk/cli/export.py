"""`cvtk export`: trained weights for where MMDetection is not installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cvtk.cli.data.common import FILE
from cvtk.cli.declared import declared_options
from cvtk.exported.options import ExportOptions


@click.command(
    epilog="""\b
Examples:
  cvtk export outputs/fruit.pth --to onnx
  python outputs/fruit_onnx.py photo.jpg found.png"""
)
@click.argument("weights", type=FILE)
@declared_options(ExportOptions, spelled={"licence": "--license"})
@click.option(
    "--trust_weights",
    "--trust-weights",
    is_flag=True,
    help="load weights that may run code; only from people you trust",
)
def command(weights: Path, trust_weights: bool, **values: Any) -> None:
    """Write trained weights, NAME.pth, as a file that does not need MMDetection.

    ONNX and OpenVINO do not need PyTorch either. Beside it NAME_onnx.py (or _openvino, _torchscript) shows
    how to use it without cvtk.
    """
    from cvtk.model import create_model

    create_model(weights, trust_weights=trust_weights).export(**values)
