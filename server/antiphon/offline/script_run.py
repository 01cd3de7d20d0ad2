"""Performs a live script for a file in a separate process, and reads its events as commands."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from antiphon.kernel.errors import AntiphonError
from antiphon.kernel.graph.names import MACRO
from antiphon.kernel.runtime.processes.children import ChildLane, environment, spawn
from antiphon.kernel.runtime.processes.helper_channel import MAX_MESSAGE_BYTES
from antiphon.kernel.runtime.sound_packs import in_pack
from antiphon.kernel.runtime.suggestion import instead
from antiphon.kernel.runtime.terms import path_text
from antiphon.kernel.session.commands import Beat, Command
from antiphon.kernel.session.messages import FindParam
from antiphon.kernel.session.notes import Players
from antiphon.kernel.session.play import beyond_range_message, fitted, silent, takes, unknown_words
from antiphon.live.notes import MACRO_VALUES
from antiphon.live.records import OUTSIDE, LiveEvent, ScriptError
from antiphon.offline.event_file import MAX_EVENTS, commands_of
from antiphon.offline.hearing import Cue, tempo_map
from antiphon.offline.script_child import LINE_DIGITS

TIMEOUT_SECONDS = 2.0
"""CPU time limit in seconds for reading a script, and for a beat of it."""
_MACROS = f"/{MACRO}/", f"/node/{MACRO}/"
RECORDED_CHORDS = frozenset({"stab"})
"""Sounds of the kit of which one note is a chord."""
_SILENT = 15.0
"""Timeout for a message from the process, as a multiple of `TIMEOUT_SECONDS`; its own timers end it before."""


@dataclass(frozen=True, slots=True)
class ScriptHeader:
    """Settings declared by a script before it plays."""

    patch: str
    bar: Fraction  # beats of a bar
    seed: int
    names: tuple[str, ...]
    patch_line: int = 0  # where it names its patch, from 1
    listens: tuple[tuple[str, int], ...] = ()
    levels: tuple[tuple[str, float], ...] = ()  # nodes whose levels it answers to, each with a value in dB


class ScriptProcess:
    """Script in a separate process, as a context manager. `name`: its file's; `header`: its declarations."""

    def __init__(self, path: str, patience: float = TIMEOUT_SECONDS) -> None:
        """Starts the process and reads the script; this and each beat may take `patience` seconds of CPU time.

        Raises ScriptError: it cannot be read; with file and line.
        """
        self._path, self.name, self._patience = path, os.path.basename(path), patience
        if not Path(path).is_file():
            raise ScriptError(f"cannot read {path_text(path)}: there is no such file, or it is not an ordinary one")
        self._line = tempfile.TemporaryFile()  # noqa: SIM115 - of the loop or track that runs, if its process ends
        line = self._line.fileno()
        lane, env = ChildLane(subprocess.PIPE, subprocess.PIPE, None, (line,)), environment(PYTHONHASHSEED="0")
        self._process = spawn("antiphon.offline.script_child:main", path, str(patience), str(line), lane=lane, env=env)
        try:
            said = self._receive()
            listens = tuple((node, line) for node, line in said["listens"])
            levels = tuple((node, above) for node, above in said["levels"])
            self.header = ScriptHeader(
                said["patch"], Fraction(*said["bar"]), said["seed"], tuple(said["names"]), said["line"], listens, levels
            )
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> ScriptProcess:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def play(self, beats: Fraction, tempo: float, cues: Sequence[Cue] = ()) -> list[LiveEvent]:
        """Performs the script up to a beat; returns its events in order, with the ends of sounding notes.

        It starts at the beginning, with `cues` as its inputs. Raises ScriptError: it fails, or plays too much; with
        file and line.
        """
        with contextlib.suppress(BrokenPipeError):
            self._process.send(
                {
                    "tempo": tempo,
                    "beats": [beats.numerator, beats.denominator],
                    "cues": [[at.numerator, at.denominator, name, value] for at, name, value in cues],
                }
            )
        events: list[LiveEvent] = []
        while True:
            said = self._receive()
            for beat, address, args, source, line in said["events"]:
                events.append(LiveEvent(Fraction(*beat), address, tuple(args), source, line))
            if len(events) > MAX_EVENTS:
                raise ScriptError(f"{self.name} plays more than {MAX_EVENTS} events; render fewer bars")
            if said["end"]:
                return events

    def close(self) -> None:
        """Ends the process."""
        self._process.close()
        self._line.close()

    def _receive(self) -> dict[str, Any]:
        """Next answer of the process. Raises `ScriptError` for a fault, a timeout and an invalid answer."""
        try:
            said, _ = self._process.receive(silence=_SILENT * self._patience)
        except TimeoutError:
            raise ScriptError(f"{self.name} runs without end and cannot be interrupted; it was stopped") from None
        except ValueError:
            raise ScriptError(f"{self.name} plays a beat of over {MAX_MESSAGE_BYTES >> 20} MB") from None
        except EOFError:
            raise self._gone() from None
        if "fault" in said:
            raise ScriptError(said["fault"], said["picture"])
        return said

    def _gone(self) -> ScriptError:
        status = self._process.wait() or 0
        if status == -signal.SIGVTALRM:
            return ScriptError(f"{self.name} runs without end: {2 * self._patience:g} s in one call; it was stopped")
        line = int(os.pread(self._line.fileno(), LINE_DIGITS, 0) or b"0")
        where = f"{self.name} line {line}" if line else self.name
        how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"has ended, with status {status}"
        return ScriptError(f"{where}: its process {how}; a script plays to its end")


def commands(events: Sequence[LiveEvent], name: str, find: FindParam, players: Players) -> list[Command]:
    """Converts a script's events to commands, checked like a file of events.

    `players` are the note-taking nodes. Raises ScriptError: the patch does not accept an event; the error has the line
    that plays it.
    """
    result: list[Command] = []
    for event in events:
        if event.address.startswith(OUTSIDE):  # a file is nothing to other programs
            continue
        try:
            args = _fit_event(event, players)[1]
            result += commands_of(event.address, args, Beat(float(event.beat)), find, players)
        except AntiphonError as error:
            where = f"{name} line {event.line}" if event.line else name
            raise ScriptError(f"{where}: {error}") from None
    return result


def _fit_event(event: LiveEvent, players: Players) -> tuple[str, Sequence[object], Sequence[str]]:
    """Returns the node of a note with values ("" for other events), the arguments with numbers clipped to their ranges,
    as a server plays them, and the names of clipped values."""
    match event.address.split("/")[1:]:
        case ["node", node, name] if node in players.all:
            info = players.catalog[players.graph.node(node).type]
            if takes(info, name, event.args):
                return node, *fitted(info.params, event.args)
    return "", event.args, ()


def accepts_event(event: LiveEvent, find: FindParam, players: Players) -> bool:
    """Whether the patch accepts an event."""
    try:
        commands([event], "", find, players)
    except ScriptError:
        return False
    return True


def unknown_values(events: Sequence[LiveEvent], words: Mapping[str, Mapping[str, Sequence[str]]]) -> list[str]:
    """Remarks on notes with values unknown to their node."""
    found = dict[str, None]()
    for event in events:
        node = event.address.removeprefix("/node/").removesuffix("/play")
        if event.address == f"/node/{node}/play":
            for value, word, _ in unknown_words(words.get(node, {}), event.args):
                found[f"line {event.line}: {silent(node, value, word)}{in_pack(value, word)}"] = None
    return list(found)


def drop_missing_macros(events: Sequence[LiveEvent], players: Players) -> tuple[list[LiveEvent], list[str]]:
    """Events without values for macros that the patch lacks, and remarks: on each of these, on chords of chords, and on
    values out of their ranges."""
    graph = players.graph
    macros = [macro.name for macro in graph.macros]
    taken, lacking = [], dict[str, int]()
    for event in events:
        name = event.address.removeprefix("/node").removeprefix(_MACROS[0]).partition("/")[0]
        if event.address.startswith(_MACROS) and name not in macros:
            lacking.setdefault(name, event.line)
        else:
            taken.append(event)
    struck = Counter[tuple[str, int, Fraction]]()
    for event in taken:
        node = str(event.args[-1]) if event.address == "/note/on" and len(event.args) > 3 else ""
        struck[node, event.line, event.beat] += 1
    chords = {node.name for node in graph.nodes if node.values.get("s") in RECORDED_CHORDS}
    twice = dict.fromkeys((line, node) for (node, line, _), notes in struck.items() if notes > 2 and node in chords)
    found = ((event.line, *_fit_event(event, players)) for event in taken)
    past = dict.fromkeys((line, node, name) for line, node, _, names in found for name in names)
    of_strudel = {macro.partition("/")[0] for macro in MACRO_VALUES.values()}
    return taken, [
        f"line {line}: the patch has no macro {name!r}, and this does nothing"
        f"{'; strudel has it' if name in of_strudel else instead(name, macros)}"
        for name, line in sorted(lacking.items())
    ] + [
        f"line {line}: each note of {node} is a recorded chord; give it one note, and the chord to another node"
        for line, node in twice
    ] + [
        f"line {line}: {beyond_range_message(node, players.catalog[graph.node(node).type].params, name)}"
        for line, node, name in past
    ]


def frames_of(events: Sequence[LiveEvent], beats: Fraction, rate: int, tempo: float) -> int:
    """Length of `beats` in frames from the beginning, by the tempo events, at first `tempo`."""
    return round(tempo_map(events, rate, tempo, beats).sample_at(float(beats)))
