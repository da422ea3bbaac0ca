"""Runs a service until it is stopped."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

from cvtk.engine.config_files import read_config
from cvtk.engine.poses import is_given_poses
from cvtk.engine.predictors import open_predictor
from cvtk.engine.spec import ModelSpec, make_spec
from cvtk.errors import ModelError, OptionError
from cvtk.exported.kinds import SUFFIXES, is_exported
from cvtk.extras import require
from cvtk.log import logger
from cvtk.serve.options import ServeOptions

# Requests that are being answered or wait for it; to more it says that it is busy.
MOST_REQUESTS = 256
# Seconds in which requests may end after Ctrl+C.
PATIENCE = 5


def serve(options: ServeOptions) -> None:
    """Answers requests until Ctrl+C.

    Args:
        options: Which model, and where.

    Raises:
        InstallError: A package of the extra `serve` is missing.
        ModelError: The model cannot be used.
        OptionError: The address cannot be used.
    """
    require("serve", "cvtk serve", "fastapi_offline", "python_multipart", "uvicorn")
    import uvicorn

    from cvtk.serve.app import make_app
    from cvtk.serve.service import Service

    weights = Path(options.weights)
    if weights.suffix != ".pth" and not is_exported(weights):
        raise ModelError(
            f"{weights} is neither weights nor an exported model.",
            f"Name a file that ends in .pth or {' or '.join(SUFFIXES.values())}.",
        )
    with _listen(options.host, options.port) as listening:
        spec = make_spec(weights, None, None, options.trust_weights)
        _require_images_alone(spec)
        service = Service(open_predictor(spec, options.device), options)

        def ready() -> None:
            logger.info(f"{weights}: {address_of(listening)} (Ctrl+C ends it)")

        config = uvicorn.Config(
            make_app(service, ready),
            log_config=None,
            access_log=False,
            limit_concurrency=MOST_REQUESTS,
            timeout_graceful_shutdown=PATIENCE,
        )
        with contextlib.suppress(
            KeyboardInterrupt
        ):  # uvicorn has ended by it, and tells
            uvicorn.Server(config).run(sockets=[listening])
        logger.info("Ended.")


def _require_images_alone(spec: ModelSpec) -> None:
    """Refuses a model that needs more than an image.

    Raises:
        ModelError: It finds the masks of poses.
    """
    if spec.is_exported:
        return
    if is_given_poses(read_config(spec.config, spec.trust_weights)):
        raise ModelError(
            f"{spec.name} finds the masks of poses that come with an image, which a service does not take.",
            "Use the script's inference with a COCO file of keypoints as --data: see docs/pose2seg.md.",
        )


def _listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections.

    Raises:
        OptionError: The address is not one of this machine, or is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        reason = str(error.strerror or error).partition(" (")[0]
        raise OptionError(
            f"Nothing can be served at {host}, port {port}: {reason}.",
            "Choose another --port; 0 takes any free one.",
        ) from None


def address_of(listening: socket.socket) -> str:
    """The address to ask a service at."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
