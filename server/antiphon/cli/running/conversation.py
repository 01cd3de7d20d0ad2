"""The loop of `antiphon repl`: reads lines, sends messages, prints answers and a status line."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from antiphon.cli.running.osc import ask, value
from antiphon.client import LOCAL
from antiphon.client.http import get_answer
from antiphon.kernel.errors import AntiphonError, UsageError, sentence
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.shortening import escape_unprintable
from antiphon.kernel.runtime.suggestion import suggest
from antiphon.web.oscquery.query import UNITS

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.key_binding import KeyBindings

NORM = "/norm"
_UNITS = {theirs: ours for ours, theirs in UNITS.items()}
WRITE = 2
"""Bit of OSCQuery's ACCESS: the address takes a value."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """Declaration of one address. `low`, `high`: range of a number; None without one."""

    address: str
    doc: str
    types: str  # OSC type tags of its arguments; N for none
    value: str = ""  # as text, "" for an address without one
    low: float | None = None
    high: float | None = None
    words: tuple[str, ...] = ()
    unit: str = ""

    @property
    def allowed_values(self) -> str:
        """Allowed values as text: "0 to 0.98", "gate or learned", ""."""
        if self.words:
            return " or ".join(self.words)
        if self.low is None or self.high is None:
            return "on or off" if self.types in ("T", "F") else ""
        unit = f" {_UNITS.get(self.unit, self.unit)}" if self.unit else ""
        return f"{self.low:g} to {self.high:g}{unit}"

    @property
    def line(self) -> str:
        """The address with its value, allowed values, and description."""
        shown = (
            self.address,
            self.value and f"= {self.value}",
            self.allowed_values and f"({self.allowed_values})",
            self.doc,
        )
        return " ".join(part for part in shown if part)


def declarations(tree: Mapping[str, Any]) -> dict[str, Declaration]:
    """Addresses of an OSCQuery tree that accept a message, without `/norm`, which only faders need."""
    return {one.address: one for one in _read(tree)}


def _shown(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "on" if value else "off"
        case float():
            return f"{value:g}"
    return str(value)


def _read(entry: Mapping[str, Any]) -> Iterator[Declaration]:
    path = str(entry.get("FULL_PATH", ""))
    if "TYPE" in entry and int(entry.get("ACCESS", 0)) & WRITE and not path.endswith(NORM):
        bounds = (entry.get("RANGE") or [{}])[0]
        value = (entry.get("VALUE") or [None])[0]
        yield Declaration(
            path,
            str(entry.get("DESCRIPTION", "")),
            str(entry["TYPE"]),
            _shown(value),
            bounds.get("MIN"),
            bounds.get("MAX"),
            tuple(map(str, bounds.get("VALS", ()))),
            (entry.get("UNIT") or [""])[0],
        )
    for below in entry.get("CONTENTS", {}).values():
        yield from _read(below)


TIMEOUT_SECONDS = 5.0
"""Timeout in seconds of an answer."""
REFRESH_SECONDS = 0.5
"""Seconds between updates of the status line."""
PROMPT = "antiphon> "
HELP = """\
/node/echo/feedback 0.4     sets a parameter, as `antiphon osc` does; without a value, shows it
/note/on 60 100             sends any other message
help [what]                 this, or the addresses of that name with their sentences, values and ranges
status                      how the server is: the last line of the terminal
quit                        ends the REPL, as Ctrl-D does; the server plays on
Tab completes addresses and words; Up finds earlier lines; F12 is silence within one block."""


class Repl:
    """Connection to a server, with its declared addresses."""

    def __init__(self, port: int, http_port: int) -> None:
        """Reads the declarations; `EngineError` if no server answers."""
        self._port, self._http_port = port, http_port
        self.declared: Mapping[str, Declaration] = {}
        self._status: Mapping[str, Any] = {}
        self._trouble = ""
        self._nodes: object = None
        self._soon = Event()
        self._look()

    def _look(self) -> None:
        self._status = get_answer("/api/status", paths.config(), self._http_port)
        nodes = [(node["name"], node["type"]) for node in self._status["nodes"]]
        if nodes != self._nodes:
            self._fetch_declarations()
            self._nodes = nodes

    def _fetch_declarations(self) -> None:
        self.declared = declarations(get_answer("/", paths.config(), self._http_port))

    def refresh(self) -> None:
        """Reads the server's status and addresses, for the status line and completion."""
        try:
            self._look()
            self._trouble = ""
        except AntiphonError as error:
            self._trouble = sentence(error)

    @contextmanager
    def follow(self) -> Iterator[None]:
        """Runs a thread that refreshes every `REFRESH_SECONDS` and after each message, so that typing and F12 never
        wait for an answer.
        """
        over = Event()

        def follow() -> None:
            while not over.is_set():
                self.refresh()
                self._soon.wait(REFRESH_SECONDS)
                self._soon.clear()

        Thread(target=follow, name="status", daemon=True).start()
        try:
            yield
        finally:
            over.set()
            self._soon.set()

    def status_line(self) -> str:
        """Status line: patch, tempo, beat, load, misses; or the server's failure."""
        if self._trouble:
            return escape_unprintable(self._trouble)
        now = self._status
        playing = f"beat {now['beat']:.0f}" if now["playing"] else "stopped"
        load = now["engine"]["load_mean"]
        return escape_unprintable(
            f"{now['patch'] or 'no patch'}  {now['tempo']:g} bpm, {playing}  load {load:.0%}  "
            f"{now['missed_blocks']} missed  F12 panic"
        )

    def send(self, address: str, *words: str) -> list[str]:
        """Sends a message with arguments as typed; returns the answers, one line each."""
        return list(ask(address, [value(word) for word in words], LOCAL, self._port, False, TIMEOUT_SECONDS))

    def answer(self, line: str) -> list[str] | None:
        """Executes a typed line; returns the text to print, or None to quit."""
        try:
            match shlex.split(line, comments=True):
                case ["quit" | "exit" | "q"]:
                    return None
                case ["help" | "?", *topic]:
                    with suppress(AntiphonError):
                        self._fetch_declarations()  # with the values of now
                    return help_lines(" ".join(topic), self.declared)
                case ["status"]:
                    self._look()
                    return [self.status_line().removesuffix("  F12 panic")]
                case [address, *words]:
                    answers = self.send(address, *words)
                    declared = self.declared.get(address)
                    if words and not answers and declared is not None and declared.value:
                        answers = self.send(address)
                    # what the message changed is to be completed, and shown, from the next line on
                    self._soon.set()
                    return answers
        except ValueError:
            return ["a quote is not closed"]
        except AntiphonError as error:
            return [sentence(error)]
        return []


def help_lines(topic: str, declared: Mapping[str, Declaration]) -> list[str]:
    """Help lines on a topic: "", an address or its prefix, or a part of one.

    Raises UsageError: there is no such address.
    """
    if not topic:
        return HELP.splitlines()
    begins = [one for address, one in declared.items() if f"{address}/".startswith(f"{topic}/")]
    found = begins or [one for address, one in declared.items() if f"/{topic}/" in f"{address}/"]
    if not found:
        near = suggest(topic, sorted({*declared, *(part for address in declared for part in address.split("/"))}))
        raise UsageError(f"no address has {topic!r}; {near}Tab lists what there is")
    return [one.line for one in found]


def run_repl(connected: Repl, session: PromptSession[str], show: Callable[[str], object]) -> None:
    """Reads lines and prints their answers until the end of the input."""
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
            show(escape_unprintable(text))


def panic_key(connected: Repl, show: Callable[[str], object]) -> KeyBindings:
    """Binds F12 to panic, at any time."""
    from prompt_toolkit.application import run_in_terminal
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

    bindings = KeyBindings()

    @bindings.add("f12")
    def panic(_event: KeyPressEvent) -> None:
        def now() -> None:
            for text in connected.answer("/panic") or ["panic"]:
                show(escape_unprintable(text))

        run_in_terminal(now)

    return bindings


OWN = {"help": "what can be typed, or what it does", "status": "how the server is", "quit": "ends the REPL"}
SWITCH = ("on", "off")


class AddressCompleter(Completer):
    """Completes words from the server's current declarations."""

    def __init__(self, declared: Callable[[], Mapping[str, Declaration]]) -> None:
        self._declared = declared

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Yields the completions at the end of the text before the cursor."""
        before = document.text_before_cursor
        words = before.split()
        last = "" if not words or before.endswith(" ") else words.pop()
        for text, doc in self._candidates(words):
            if text.startswith(last):
                yield Completion(text, start_position=-len(last), display_meta=doc)

    def _candidates(self, words: list[str]) -> Iterable[tuple[str, str]]:
        declared = self._declared()
        if words in ([], ["help"]):
            yield from {**OWN, **{address: _meta(one) for address, one in declared.items()}}.items()
        elif len(words) == 1 and words[0] in declared:
            found = declared[words[0]]
            for word in found.words or (SWITCH if found.types in ("T", "F") else ()):
                yield word, "now" if word == found.value else ""


def _meta(declaration: Declaration) -> str:
    value = f"{declaration.value}  " if declaration.value else ""
    allowed = f"{declaration.allowed_values}. " if declaration.allowed_values else ""
    return f"{value}{allowed}{declaration.doc}"
