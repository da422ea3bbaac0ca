"""Trained weights as one file that runs without PyTorch and MMDetection, and an example that uses it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from cvtk import __version__
from cvtk.analysis.thresholds import DEFAULT_SCORE
from cvtk.data.reading import Reading
from cvtk.data.sources import list_images
from cvtk.engine.config_files import read_config
from cvtk.engine.export.example import write_example
from cvtk.engine.export.inputs import image_form
from cvtk.engine.export.int8 import to_int8
from cvtk.engine.export.trial import require_same_results
from cvtk.engine.export.writers import NEEDS, WRITERS, Traced
from cvtk.engine.poses import is_given_poses
from cvtk.engine.predict import load_network
from cvtk.engine.quiet import quiet_libraries
from cvtk.engine.spec import ModelSpec
from cvtk.engine.tiling import size_seen
from cvtk.errors import CvtkError, ModelError, one_line
from cvtk.exported.description import FORMAT, Description
from cvtk.exported.options import ExportOptions
from cvtk.extras import require
from cvtk.io import atomic_write, require_free
from cvtk.log import logger


def export(spec: ModelSpec, options: ExportOptions) -> Path:
    """Writes trained weights as an exported file, and beside it an example that runs it.

    The file is tried before it gets its name: it must find what the weights find.

    Args:
        spec: A model with weights.
        options: What to write.

    Returns:
        The exported file.

    Raises:
        ModelError: There are no weights yet, or the architecture cannot be exported.
        InstallError: A package that exporting needs is missing.
        FileError: A file exists already, or there are no images to look at.
    """
    if spec.weights is None:
        raise ModelError(
            f"{spec.name} has no weights yet.", "Train it, then export NAME.pth."
        )
    file = Path(options.output or options.beside(spec.weights))
    files = [file, file.with_suffix(".bin")] if options.to == "openvino" else [file]
    example = file.with_name(f"{file.stem}_{options.to}.py")
    for path in (*files, example):
        require_free(path, force=options.force)
    extra, modules = NEEDS[options.to]
    require(extra, "Exporting", *modules)
    looked_at = None if options.int8 is None else list_images(options.int8)
    with contextlib.ExitStack() as stack:
        [
            part,
            *_,
        ] = [  # the last gets its name first, so that none is there without the others
            stack.enter_context(atomic_write(path, force=options.force))
            for path in files
        ]
        stack.enter_context(quiet_libraries())
        description = write(spec, options, part)
        compared = require_same_results(spec, part)
        if looked_at is not None:
            to_int8(spec, part, looked_at)
    write_example(example, file.name, options.to, description, force=options.force)
    if not len(compared):
        logger.warning(
            "The weights find nothing in made-up pictures, on which the file is tried: compare the two on yours."
        )
    logger.info(f"Wrote {file}, and {example}, which shows how to use it.")
    return file


def write(spec: ModelSpec, options: ExportOptions, file: Path) -> Description:
    """Traces the network, and writes it with its description; not tried yet.

    Raises:
        ModelError: Its architecture cannot be exported.
    """
    if is_given_poses(read_config(spec.config, spec.trust_weights)):
        reason = "It finds the masks of poses that come with an image, which an exported model does not take."
        raise _not_exportable("Pose2Seg", reason)
    network = load_network(spec, "cpu", lean_masks=False)
    architecture = _architecture(network)
    try:
        return _trace_and_write(network, spec, options, architecture, file)
    except CvtkError as error:
        raise _not_exportable(architecture, str(error)) from None
    except OSError:  # of the disk
        raise
    except Exception as error:  # whatever PyTorch cannot trace or write
        reason = f"PyTorch cannot record it as a file ({one_line(error)})."
        raise _not_exportable(architecture, reason) from error


def _architecture(network: Any) -> str:
    """What the network is called, such as `RTMDet with CSPNeXt`."""
    return f"{type(network).__name__} with {type(network.backbone).__name__}"


def _not_exportable(architecture: str, reason: str) -> ModelError:
    return ModelError(
        f"{architecture} cannot be exported: {reason}",
        "See docs/export-table.md for those that can.",
    )


def _trace_and_write(
    network: Any,
    spec: ModelSpec,
    options: ExportOptions,
    architecture: str,
    file: Path,
) -> Description:
    import torch

    from cvtk.engine.export.network import ExportedNetwork
    from cvtk.engine.export.stand_ins import stand_ins

    image = image_form(network.cfg.test_dataloader.dataset.pipeline)
    width, height = image.canvas or image.scale
    generator = torch.Generator().manual_seed(0)
    picture = torch.randint(
        0, 256, (1, height, width, 3), dtype=torch.uint8, generator=generator
    )
    inputs = (picture, torch.zeros(()))  # with a score of 0 there are objects to trace
    with stand_ins(), torch.no_grad():
        exported = ExportedNetwork(network, image, with_masks=spec.task == "segm")
        traced = torch.jit.trace(exported, inputs, check_trace=False)
        score, class_scores = scores_to_note(network, options)
        description = Description(
            format=FORMAT,
            cvtk=__version__,
            architecture=architecture,
            task="segm" if exported.masks else "det",
            classes=list(spec.classes),
            category_ids=list(spec.category_ids),
            image=image,
            masks=exported.masks,
            lowest_score=exported.lowest_score,
            score=score,
            licence=options.licence,
            class_scores=class_scores,
            **Reading.noted_in(network.cfg).notes(),
            tile=size_seen(spec, network.cfg)[0],
        )
        record = Traced(traced, inputs, exported.outputs, image, options.opset)
        WRITERS[options.to](record, description, file)
    return description


def scores_to_note(
    network: Any, options: ExportOptions
) -> tuple[float, dict[str, float]]:
    """The score to cut at, and by class where the training chose them and the user says no other."""
    if options.score is not None:
        return options.score, {}
    if network.thresholds is not None:
        return network.thresholds.common, network.thresholds.by_class
    return DEFAULT_SCORE, {}
