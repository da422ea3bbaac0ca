"""Limits of each request: how large it is, and how long it takes."""

from __future__ import annotations

import anyio
from fastapi import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Limits:
    """Refuses requests that are too large, while they come in, and ends those that take too long.

    Args:
        app: What answers.
        most_bytes: Of the body of a request.
        seconds: From the first line of a request to the end of its answer.
    """

    def __init__(self, app: ASGIApp, most_bytes: int, seconds: float) -> None:
        self.app = app
        self.most_bytes = most_bytes
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, as https://asgi.readthedocs.io says."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        received = 0
        started = False

        async def receive_some() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.most_bytes:
                # FastAPI answers with it, for it is one of its own.
                raise HTTPException(413, self._too_large())
            return message

        async def send_noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        if self._announced(scope) > self.most_bytes:
            await _answer(413, self._too_large(), scope, receive, send)
            return
        try:
            with anyio.fail_after(self.seconds):
                await self.app(scope, receive_some, send_noted)
        except TimeoutError:
            if not started:
                text = f"This took more than {self.seconds:g} seconds. Try a smaller image, or try later."
                await _answer(504, text, scope, receive, send)

    def _too_large(self) -> str:
        return (
            f"The image is larger than {self.most_bytes / 1e6:g} MB. Make it smaller."
        )

    @staticmethod
    def _announced(scope: Scope) -> int:
        """How many bytes the request says it has; 0 where it does not say."""
        lengths = [v for name, v in scope["headers"] if name == b"content-length"]
        return int(lengths[0]) if lengths and lengths[0].isdigit() else 0


async def _answer(
    status: int, text: str, scope: Scope, receive: Receive, send: Send
) -> None:
    # What is left of the request is not read, so nothing else can come over this connection.
    headers = {"connection": "close"}
    await JSONResponse({"detail": text}, status, headers)(scope, receive, send)
