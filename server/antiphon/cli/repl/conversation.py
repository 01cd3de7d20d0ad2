"""The conversation of `antiphon repl`: reads lines, sends messages, prints answers, and the server's state below."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from antiphon.cli.osc import ask, value
from antiphon.cli.repl.declarations import Declaration, declarations
from antiphon.cli.repl.lines import Help, Quit, Send, Show, help_lines, meaning
from antiphon.cli.running_server import look
from antiphon.kernel.errors import AntiphonError, sentence
from antiphon.kernel.runtime import paths
from antiphon.kernel.wire.text import printable

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.key_binding import KeyBindings

HOST = "127.0.0.1"
PATIENCE = 5.0
"""Seconds in which the server answers a message."""
REFRESH = 0.5
"""Seconds between updates of the status line."""
PROMPT = "antiphon> "


class Repl:
    """The connection to a server, and what it declares.

    Attributes:
        declared: The addresses there are, by address; read again when the patch has changed.
    """

    def __init__(self, port: int, http_port: int) -> None:
        """Reads the declarations; `EngineError` where no server answers."""
        self._port, self._http_port = port, http_port
        self.declared: Mapping[str, Declaration] = {}
        self._status: Mapping[str, Any] = {}
        self._trouble = ""
        self._nodes: object = None
        self._soon = Event()
        self._look()

    def _look(self) -> None:
        self._status = look("/api/status", paths.config(), self._http_port)
        nodes = [(node["name"], node["type"]) for node in self._status["nodes"]]
        if nodes != self._nodes:
            self._declare()
            self._nodes = nodes

    def _declare(self) -> None:
        self.declared = declarations(look("/", paths.config(), self._http_port))

    def refresh(self) -> None:
        """Reads the server's status and addresses, for the status line and completion."""
        try:
            self._look()
            self._trouble = ""
        except AntiphonError as error:
            self._trouble = sentence(error)

    @contextmanager
    def follow(self) -> Iterator[None]:
        """Within this context a thread refreshes every `REFRESH` seconds, and after each message: typing and F12 wait
        for no answer.
        """
        over = Event()

        def follow() -> None:
            while not over.is_set():
                self.refresh()
                self._soon.wait(REFRESH)
                self._soon.clear()

        Thread(target=follow, name="status", daemon=True).start()
        try:
            yield
        finally:
            over.set()
            self._soon.set()

    def status_line(self) -> str:
        """The status line: patch, tempo, beat, load, misses; or why the server gives none."""
        if self._trouble:
            return printable(self._trouble)
        now = self._status
        playing = f"beat {now['beat']:.0f}" if now["playing"] else "stopped"
        load = now["engine"]["load_mean"]
        return printable(
            f"{now['patch'] or 'no patch'}  {now['tempo']:g} bpm, {playing}  load {load:.0%}  "
            f"{now['missed_blocks']} missed  F12 panic"
        )

    def panic(self) -> list[str]:
        """Sends `/panic`; returns the answers."""
        return self.send(Send("/panic"))

    def send(self, message: Send) -> list[str]:
        """Sends a message; returns the answers, one line each."""
        return list(ask(message.address, [value(word) for word in message.words], HOST, self._port, False, PATIENCE))

    def answer(self, line: str) -> list[str] | None:
        """Carries out a typed line; returns the text to print, or None to quit."""
        try:
            match meaning(line, self.declared):
                case Send() as message:
                    answers = self.send(message)
                    declared = self.declared.get(message.address)
                    if message.words and not answers and declared is not None and declared.value:
                        answers = self.send(Send(message.address))
                    # what the message changed is to be completed, and shown, from the next line on
                    self._soon.set()
                    return answers
                case Help(topic):
                    with suppress(AntiphonError):
                        self._declare()  # with the values of now
                    return help_lines(topic, self.declared)
                case Show("nodes"):
                    self._look()
                    nodes = [f"{node['name']}  {node['type']}" for node in self._status["nodes"]]
                    return nodes or ["the patch has no nodes"]
                case Show():
                    self._look()
                    return [self.status_line().removesuffix("  F12 panic")]
                case Quit():
                    return None
        except AntiphonError as error:
            return [sentence(error)]
        return []


def converse(connected: Repl, session: PromptSession[str], show: Callable[[str], object]) -> None:
    """Reads and answers lines until the end of the input."""
    while True:
        try:
            line = session.prompt()
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        answers = connected.answer(line)
        if answers is None:
            return
        for text in answers:
            show(printable(text))


def panic_key(connected: Repl, show: Callable[[str], object]) -> KeyBindings:
    """F12 is panic, whatever is being typed."""
    from prompt_toolkit.application import run_in_terminal
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

    bindings = KeyBindings()

    @bindings.add("f12")
    def panic(_event: KeyPressEvent) -> None:
        def now() -> None:
            for text in connected.answer("panic") or ["panic"]:
                show(printable(text))

        run_in_terminal(now)

    return bindings
