"""Calls the handlers of routes; what they raise becomes an answer, a counter and a line of the log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable

from antiphon.errors import AntiphonError
from antiphon.io.http_message import HttpRequest, HttpRoute, Refusal, Response, StreamRoute, answer
from antiphon.web.protocol.bodies import Disconnect
from antiphon.web.protocol.counters import HttpCounters

log = logging.getLogger("antiphon.http")


class HandlerCalls:
    """Calls handlers.

    Args:
        counters: Counters of the server.
        seconds: That a handler has for its answer.
    """

    def __init__(self, counters: HttpCounters, seconds: float) -> None:
        self._counters, self._seconds = counters, seconds

    async def call(self, route: HttpRoute, request: HttpRequest) -> Response:
        """Calls a route's handler; its exceptions are logged in one line and answered 500."""

        async def work() -> Response:
            result = route.handler(request)
            if isinstance(result, Response):
                return result
            async with asyncio.timeout(self._seconds):
                return await result

        return await self._checked(request, work())

    async def call_stream(self, route: StreamRoute, request: HttpRequest, pieces: AsyncIterator[bytes]) -> Response:
        """Calls the handler of a route that reads the body in pieces; as `call`, without a limit of its time: the
        client's speed is limited.
        """
        return await self._checked(request, route.handler(request, pieces))

    def refused(self, refusal: Refusal) -> Response:
        """The response to a refused request: its page, or JSON with the reason."""
        self._counters.refused += 1
        if refusal.page:
            return Response(refusal.status, refusal.page.encode(), "text/html; charset=utf-8", refusal.headers)
        return answer({"error": str(refusal)}, refusal.status, refusal.headers)

    async def _checked(self, request: HttpRequest, work: Awaitable[Response]) -> Response:
        try:
            result = await work
            if not isinstance(result, Response):
                raise TypeError(f"a handler answers with a Response, not {type(result).__name__}")
            result.check()
            return result
        except Refusal as refusal:
            return self.refused(refusal)
        except Disconnect:
            raise
        except TimeoutError:
            self._failed(request, "no answer in time")
            return answer({"error": "this address did not answer in time"}, 503)
        except AntiphonError as error:
            return self.refused(Refusal(400, str(error)))
        except Exception as error:
            self._failed(request, f"{type(error).__name__}: {error}")
            return answer({"error": "this address failed; see the server's log"}, 500)

    def _failed(self, request: HttpRequest, why: str) -> None:
        self._counters.errors += 1
        log.error("%s %s failed: %s", request.method, request.path, " ".join(why.split())[:500])
