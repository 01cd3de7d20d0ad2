"""Lesson operations: the lessons of the page, and the check of a learner's try."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from antiphon.files.temporary import temporary_folder
from antiphon.jobs.job import Job, Missing
from antiphon.kernel.runtime.shortening import escape_unprintable
from antiphon.kernel.wire.osc import Message, decode, encode, messages_of
from antiphon.lessons.lessons import (
    FRAME_SECONDS,
    PATHS,
    SCRIPT,
    SESSION,
    HeardSound,
    LessonFile,
    LessonOutcome,
    answer_of,
    applies_to_message,
    find,
    judge,
    judge_script,
    lessons,
    refusal,
    result_levels,
)
from antiphon.web.access import CodeGuard
from antiphon.web.api import types
from antiphon.web.api.live import _check_size as check_size
from antiphon.web.control_link import NO_ANSWER, ControlLink
from antiphon.web.http_message import HttpRefusal, HttpRequest, Response, answer
from antiphon.web.operations import operation
from antiphon.web.osc_socket import OscSocket
from antiphon.web.oscquery.announcement import reachable
from antiphon.web.server import HttpServer

EXAMPLE = {"path": "send", "name": "01-first-message", "seconds": 0, "anew": False}
LISTENERS = 4
"""Maximum number of concurrent checks that listen, and of those that perform a script or wait for it."""
SHOWN = 6
"""Maximum number of messages listed in an answer."""
MEMORY_SECONDS = 20.0
"""Seconds for which messages of an earlier check still count."""
SOON_SECONDS = 0.6
"""Delay in seconds from a change of the outcome to the answer."""
KEPT = 4096
"""Maximum messages kept by one check; further ones are dropped."""


class LessonRoutes:
    """Handlers of lessons. `job`: finds a job with its result by its identifier; None without file operations."""

    def __init__(self, server: HttpServer, control: ControlLink, guard: CodeGuard) -> None:
        """Adds the routes. `guard` decides who may have a script evaluated."""
        self._control, self._guard = control, guard
        self._listening = self._checks = 0
        self._performing = asyncio.Lock()
        self._before: dict[tuple[str, str], list[HeardSound]] = {}
        self.job: Callable[[str], tuple[Job, Path]] | None = None
        server.serve(self)

    @operation("GET", "/api/lessons", types.list_of(types.LessonPath))
    async def all(self, request: HttpRequest) -> Response:
        """The lessons that ship, by path."""
        found, port = await asyncio.to_thread(lessons), (await self._control.addresses_and_port()).osc_port
        host = next(iter(await asyncio.to_thread(reachable, "all")), "")
        shown = {path: [one.plain(port, host) for one in found if one.head.path == path] for path in PATHS}
        return answer([{"path": path, "title": title, "lessons": shown[path]} for path, title in PATHS.items()])

    @operation("GET", "/api/lessons/{path}/{name}/heard", types.Tried, example=EXAMPLE)
    async def heard(self, request: HttpRequest, path: str, name: str, query: types.ListenQuery) -> object:
        """Check a lesson by what the server is set to, plays and receives."""
        lesson, came = await _lesson(path, name), list[str]()
        kind = lesson.head.check.kind
        if kind in SESSION:
            if query.anew:
                self._before = {}
            outcome = await self._listened(lesson, query.seconds, came)
        elif kind == "parameter":
            outcome = judge(lesson.head.check, await self._set())
        else:
            raise HttpRefusal(400, "this lesson checks a script or a job; POST …/check takes them")
        return await _answer(lesson, outcome, came)

    @operation(
        "POST",
        "/api/lessons/{path}/{name}/check",
        types.Tried,
        example={
            "path": "code",
            "name": "01-first-sound",
            "body": {"text": 'from antiphon.live import *\n\npatch("band")\ntrack("kick", "bd*4")\n'},
        },
    )
    async def check(self, request: HttpRequest, path: str, name: str, body: types.TryBody) -> object:
        """Check a try of a lesson: a script, evaluated with `serve --live`, or a job."""
        lesson = await _lesson(path, name)
        if lesson.head.check.kind == "file":
            outcome = judge(lesson.head.check, await asyncio.to_thread(self._worked, body.job))
        elif lesson.head.check.kind == "events":
            self._guard.check(request)
            check_size(body.text)
            if self._checks >= LISTENERS:
                raise HttpRefusal(503, f"{LISTENERS} checks of scripts wait already; wait for one of them")
            self._checks += 1
            try:
                async with self._performing:  # a script may take a core for seconds
                    outcome = await asyncio.to_thread(_perform_script, lesson, body.text)
            finally:
                self._checks -= 1
        else:
            raise HttpRefusal(400, "this lesson checks what the server plays and receives; GET …/heard does")
        return await _answer(lesson, outcome)

    async def _set(self) -> list[HeardSound]:
        """The values of all parameters as messages."""
        return [
            HeardSound(0.0, f"/node/{item.node.name}/{param}", (value,))
            for item in await self._control.nodes()
            for param, value in item.values.items()
        ]

    def _worked(self, key: str) -> list[HeardSound]:
        """Converts a finished job to messages: its command, and the levels of its result in dB."""
        if self.job is None or not key:
            raise Missing("there is no such job; start the work of the lesson first")
        job, path = self.job(key)
        heard = [HeardSound(0.0, f"/job/{job.task.command}/{job.task.name}", (job.state.value,))]
        return heard + result_levels(path)

    async def _listened(self, lesson: LessonFile, seconds: float, came: list[str]) -> LessonOutcome:
        """Listens until all expectations of the lesson hold, or for `seconds` seconds; texts of messages go to
        `came`.
        """
        if self._listening >= LISTENERS:
            raise HttpRefusal(503, f"{LISTENERS} checks listen already; wait for one of them")
        loop = asyncio.get_running_loop()
        begun, news = loop.time(), asyncio.Event()
        key = lesson.head.path, lesson.name
        # a melody may begin in one request of a page and end in the next
        heard = [one for one in self._before.get(key, ()) if begun - one.at < MEMORY_SECONDS]

        def received(message: Message) -> None:
            for one, text in _told(message, loop.time()):
                if why := text and refusal(lesson.head.patch, one.address.removeprefix("/osc"), one.args):
                    came.append(f"{text}: refused, {escape_unprintable(why)}")
                    continue
                if len(heard) < KEPT and applies_to_message(lesson.head.check, one):
                    heard.append(one)
                if text:
                    came.append(text)
            news.set()

        await asyncio.to_thread(refusal, lesson.head.patch, "/note/on", [60])  # reads the patch, in a thread
        outcome, measured = judge(lesson.head.check, heard), lesson.head.check.kind != "osc"
        self._listening += 1
        sock = OscSocket(self._control.osc, received)
        try:
            try:
                for address in ("/monitor", "/notify", "/note/watch"):
                    sock.send(encode(address, 1))
            except ConnectionRefusedError:  # of the message before: nothing listens there
                raise HttpRefusal(503, NO_ANSWER) from None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds) as limit:
                    while not outcome.passed:
                        await news.wait()
                        await asyncio.sleep(FRAME_SECONDS)  # what came with it is judged with it
                        news.clear()
                        before, outcome = outcome, judge(lesson.head.check, heard)
                        if outcome.fact != before.fact and not measured:  # a person sees soon what has come
                            limit.reschedule(min(begun + seconds, loop.time() + SOON_SECONDS))
            return outcome
        finally:
            self._before = {} if outcome.passed else {key: heard}
            self._listening -= 1
            with contextlib.suppress(OSError):
                sock.send(encode("/monitor", 0))
                sock.send(encode("/notify", 0))
            sock.close()


async def _lesson(path: str, name: str) -> LessonFile:
    if (found := await asyncio.to_thread(find, path, name)) is None:
        raise HttpRefusal(404, "there is no lesson of that path and name; GET /api/lessons lists them")
    return found


async def _answer(lesson: LessonFile, outcome: LessonOutcome, came: Sequence[str] = ()) -> object:
    said = await asyncio.to_thread(answer_of, lesson, outcome)
    return {"passed": outcome.passed, "answer": said, "came": list(came[-SHOWN:])}


def _told(message: Message, at: float) -> list[tuple[HeardSound, str]]:
    """Messages of other programs in a message of control to its subscribers, each with a text for the user."""
    address = message.address.decode(errors="replace")
    if address != "/packet":
        return [(HeardSound(at, address, tuple(message.args)), "")]
    sender, packet = str(message.args[0]), message.args[1]
    port = sender.rpartition(":")[2]
    if not isinstance(packet, bytes) or (port.isdigit() and int(port) in OscSocket.ports):
        return []  # the page's own count where they have an effect
    return [
        (HeardSound(at, f"/osc{name}", tuple(one.args)), _text(name, one.args, sender))
        for one in messages_of(decode(packet))
        if (name := one.address.decode(errors="replace"))
    ]


def _text(address: str, args: Sequence[Any], sender: str) -> str:
    shown = " ".join(f"{arg:g}" if isinstance(arg, float) else str(arg) for arg in args)
    return escape_unprintable(f"{address} {shown}".strip()[:120] + f" from {sender}")


def _perform_script(lesson: LessonFile, text: str) -> LessonOutcome:
    """Performs a script in a process with limits."""
    from antiphon.offline.script_run import ScriptProcess

    with temporary_folder() as folder:
        path = folder / SCRIPT
        path.write_text(text, "utf-8")

        def events(beats: Fraction) -> Sequence[Any]:
            with ScriptProcess(str(path)) as script:
                return script.play(beats, 120.0)

        return judge_script(lesson, events)
