"""The addresses of a service: what is asked there, and how it is answered."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import anyio.to_thread
from fastapi import FastAPI, File, Query, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi_offline import FastAPIOffline
from PIL import Image
from starlette.responses import HTMLResponse, JSONResponse, Response

from cvtk import __version__
from cvtk.errors import CvtkError
from cvtk.io import templates_folder
from cvtk.log import logger
from cvtk.serve.answers import Form, png_of, written
from cvtk.serve.limits import Limits
from cvtk.serve.service import Service
from cvtk.visual.overlays import Style

T = TypeVar("T")

# Images that are decoded, predicted or drawn at the same time: one is in the network while another is decoded.
AT_ONCE = 2
# What comes with a form beside the file in it, in bytes.
FRAME = 10_000
# The page loads nothing from elsewhere, and may ask this service alone.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src blob: data:; connect-src 'self'"
)

Upload = Annotated[
    UploadFile, File(description="JPEG, PNG, TIFF, BMP, WebP or GIF (its first frame)")
]
Score = Annotated[
    float | None,
    Query(
        ge=0, le=1, description="lowest score of the objects; else those of the model"
    ),
]


def make_app(service: Service, ready: Callable[[], None]) -> FastAPI:
    """The application of a service.

    Args:
        service: The model, and its options.
        ready: Called once it is about to answer, and Ctrl+C ends it in order.
    """
    about = service.about()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        ready()
        yield

    app = FastAPIOffline(
        redoc_url=None,
        lifespan=lifespan,
        title=f"{about['model']}, served by cvtk",
        description=f"Finds {', '.join(part['name'] for part in about['classes'])} in images. `/` is a page to try it.",
        version=__version__,
    )
    app.add_middleware(
        Limits,
        most_bytes=int(service.options.max_megabytes * 1e6) + FRAME,
        seconds=service.options.timeout,
    )
    app.exception_handler(CvtkError)(_refused)
    app.exception_handler(RequestValidationError)(_misunderstood)
    _add_pages(app, about)
    _add_predictions(app, service)
    return app


def _add_pages(app: FastAPI, about: dict[str, Any]) -> None:
    page = Path(templates_folder() / "serve.html").read_text(encoding="utf-8")

    @app.get("/", include_in_schema=False)
    async def show_page() -> HTMLResponse:
        return HTMLResponse(page, headers={"content-security-policy": POLICY})

    @app.get("/health")
    async def health() -> dict[str, str]:
        """Says that the service is there."""
        return {"status": "ok"}

    @app.get("/model")
    async def model() -> dict[str, Any]:
        """The classes that the model knows, with the score that each must have to be shown."""
        return about


def _add_predictions(app: FastAPI, service: Service) -> None:
    places: list[anyio.CapacityLimiter] = []

    async def in_turn(work: Callable[[], T]) -> T:
        """Runs it in a thread, as soon as there is room; one whose client has gone is not waited for."""
        if not places:
            places.append(anyio.CapacityLimiter(AT_ONCE))
        return await anyio.to_thread.run_sync(
            work, limiter=places[0], abandon_on_cancel=True
        )

    @app.post("/predict", response_class=Response)
    async def predict(
        image: Upload,
        score: Score = None,
        format: Annotated[
            Form,
            Query(description="a COCO document, a drawing, or a table of the objects"),
        ] = "coco",
        style: Annotated[Style, Query(description="of the drawing")] = "masks",
    ) -> Response:
        """Finds the objects in an image."""
        start = time.monotonic()
        data = await image.read()

        def work() -> Response:
            result = service.find(data, image.filename, score)
            content, kind = written(result, format, style)
            seconds = time.monotonic() - start
            logger.info(f"{result.name}: objects {len(result)}, seconds {seconds:.2f}")
            return Response(content, media_type=kind)

        return await in_turn(work)

    @app.post("/preview", response_class=Response)
    async def preview(image: Upload) -> Response:
        """An image as the model sees it, as PNG: for formats that browsers do not show, such as TIFF."""
        data = await image.read()
        return await in_turn(
            lambda: Response(
                png_of(Image.fromarray(service.decode(data, image.filename))),
                media_type="image/png",
            )
        )


async def _refused(request: Request, error: Exception) -> JSONResponse:
    """The answer to an image that cannot be used."""
    return JSONResponse({"detail": str(error)}, 400)


async def _misunderstood(request: Request, error: Exception) -> JSONResponse:
    """The answer to a request that is not as /docs says, in one line."""
    assert isinstance(error, RequestValidationError)
    problems = [
        f"{part['loc'][-1]}: {part['msg']}" for part in error.errors() if part["loc"]
    ]
    return JSONResponse({"detail": f"{'; '.join(problems)}. See /docs."}, 422)
