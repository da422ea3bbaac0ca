"""`cvtk export`: trained weights for where PyTorch and MMDetection are not installed."""

from __future__ import annotations

from pathlib import Path

import click

from cvtk.cli.data.common import FILE, force_option
from cvtk.exported.options import ExportOptions


@click.command(
    epilog="""\b
Examples:
  cvtk export outputs/fruit.pth --to onnx
  python outputs/fruit_onnx.py photo.jpg found.png"""
)
@click.argument("weights", type=FILE)
@click.option(
    "--to",
    type=click.Choice(["onnx"]),
    default=ExportOptions.to,
    show_default=True,
    help="Kind of file to write.",
)
@click.option("--output", type=FILE, help="NAME.onnx.  [default: beside the weights]")
@click.option(
    "--score",
    type=click.FloatRange(0, 1),
    help="Lowest score to show, noted in the file.  [default: those of the weights, else 0.3]",
)
@click.option(
    "--licence",
    "--license",
    default=ExportOptions.licence,
    show_default=True,
    help="Licence of the weights, noted in the file.",
)
@click.option(
    "--opset",
    type=int,
    default=ExportOptions.opset,
    show_default=True,
    help="Version of ONNX's operators.",
)
@click.option(
    "--trust_weights",
    "--trust-weights",
    is_flag=True,
    help="Load weights that may run code; only from people you trust.",
)
@force_option
def command(
    weights: Path,
    to: str,
    output: Path | None,
    score: float | None,
    licence: str,
    opset: int,
    trust_weights: bool,
    force: bool,
) -> None:
    """Write trained weights, NAME.pth, as one file that needs neither PyTorch nor MMDetection.

    Beside it NAME_onnx.py shows how to use it, with onnxruntime, NumPy and Pillow alone.
    """
    from cvtk.model import create_model

    model = create_model(weights, trust_weights=trust_weights)
    model.export(
        to,  # type: ignore[arg-type]  # click has checked it
        output=output,
        score=score,
        licence=licence,
        opset=opset,
        force=force,
    )
