"""Reader of a recorded session's log. All lines are checked before the replay: the file may be from anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from antiphon.kernel.contract.block import StreamSpec
from antiphon.kernel.contract.parameter_cell import ParamCell
from antiphon.kernel.engine.recording.journal import VERSION
from antiphon.kernel.errors import AntiphonError, FileError
from antiphon.kernel.graph.clock import EIGHTH, MAX_STEP, MAX_SWING, MAX_TEMPO, MIN_STEP, MIN_TEMPO
from antiphon.kernel.io.decode import path_text
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.audio_limits import MAX_BLOCK, MIN_BLOCK, RATES
from antiphon.kernel.runtime.finite import is_finite_number
from antiphon.kernel.runtime.sound_formats import MAX_CHANNELS
from antiphon.kernel.session.actions import ACTIONS
from antiphon.kernel.session.graph_state import MAX_FADE

LOG, INPUT = "session.jsonl", "input.wav"
MAX_LOG_BYTES = 1 << 30
Line: TypeAlias = dict[str, Any]
"""A checked line of the log."""
_LAST = 1 << 53
"""Largest sample: integers up to here are exact as float64."""
_MOST = 1e9
"""Largest beat, ramp or gain."""
_ROUNDING = 1e-6
"""Relative tolerance outside a range: numbers are rounded to float32."""


def session_folder(name: str) -> Path:
    """Folder of a recorded session, given as a path or as a name in the performer's folder of sessions."""
    folder = Path(name)
    try:
        if not folder.is_dir() and (paths.inside(paths.sessions(), name) / LOG).is_file():
            return paths.inside(paths.sessions(), name)
    except (OSError, FileError):
        return folder
    return folder


class SessionLog:
    """The header and the lines of a session log.

    Attributes:
        spec: Rate, block size and channels.
        lines: (line number, line), from the first start of an engine on.
        first: Sample of the first block.
        silent: Samples of the blocks that were computed too late.
        dead: Spans of samples, (first, after the last), that were not computed.
    """

    def __init__(self, folder: Path) -> None:
        """Reads and checks a log. Raises FileError, which names the invalid line."""
        path = folder / LOG
        self.name = path_text(path)
        try:
            if not path.is_file():
                raise FileError(f"{path_text(folder)} holds no {LOG}; name a folder that `serve --session` kept")
            if path.stat().st_size > MAX_LOG_BYTES:
                raise FileError(f"{self.name} is larger than {MAX_LOG_BYTES >> 20} MB")
            numbered = list(self._read(path))
        except OSError as error:
            raise FileError(f"cannot read {self.name}: {paths.why(error)}") from None
        if not numbered or numbered[0][1].get("session") != VERSION:
            raise FileError(f"{self.name} is no session log of this version; its first line must say session {VERSION}")
        (number, self.header), *lines = numbered
        with self.line(number):
            rate, block = _whole(self.header, "rate", 1, max(RATES)), _whole(self.header, "block", MIN_BLOCK, MAX_BLOCK)
            if rate not in RATES:
                raise ValueError(f"rate takes {', '.join(map(str, RATES))}, not {rate}")
            self.spec = StreamSpec(rate, block, _whole(self.header, "channels", 1, MAX_CHANNELS))
            for key, usual in (("device", "cpu"), ("synth", "auto")):
                if not isinstance(self.header.get(key, usual), str):
                    raise ValueError(f"{key} takes text")
        start = next((at for at, (_, line) in enumerate(lines) if "engine" in line), len(lines))
        self.lines = lines[start:]  # lines before it belong to the previous session
        self.silent: set[int] = set()
        self.dead: list[tuple[int, int]] = []
        for number, line in self.lines:
            with self.line(number):
                self._check(line)
        self.first: int = self.lines[0][1]["sample"] if self.lines else 0

    @contextmanager
    def line(self, number: int) -> Iterator[None]:
        """A context that turns errors into a FileError with the line's number."""
        try:
            yield
        except AntiphonError as error:
            raise FileError(f"{self.name}, line {number}: {error}") from None
        except KeyError as error:
            raise FileError(f"{self.name}, line {number}: it lacks {error}") from None
        except (TypeError, ValueError, AttributeError, IndexError, ArithmeticError, RecursionError) as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise FileError(
                f"{self.name}, line {number}: it makes no sense ({reason}); if another version of Antiphon recorded "
                "this set, its output.wav still holds what was heard"
            ) from None

    def check_input(self, rate: int, channels: int) -> None:
        """Raises FileError when the rate (Hz) or the channels of the recorded input differ from the log's."""
        if (rate, channels) != (self.spec.rate, self.spec.channels):
            raise FileError(
                f"{INPUT} has {rate} Hz and {channels} channels, and line 1 of {self.name} says {self.spec.rate} and "
                f"{self.spec.channels}: it is not of this set"
            )

    def _read(self, path: Path) -> Iterator[tuple[int, Line]]:
        with path.open(encoding="utf-8", errors="replace") as file:
            for number, text in enumerate(file, 1):
                try:
                    line = json.loads(text)
                except (ValueError, RecursionError):
                    if not text.endswith("\n"):
                        return  # the server was killed while it wrote this line
                    raise FileError(f"{self.name}, line {number}: not JSON") from None
                if not isinstance(line, dict):
                    raise FileError(f"{self.name}, line {number}: not an object")
                yield number, line

    def _check(self, line: Line) -> None:
        """Raises KeyError or ValueError for a line not written by the engine."""
        if "unheard" in line:
            self.silent.add(_whole(line, "unheard"))
            return
        if "missed" in line:
            span = {"first": line["missed"][0], "last": line["missed"][1]}
            self.dead.append((_whole(span, "first"), _whole(span, "last")))
            return
        _whole(line, "sample")
        if "engine" in line:
            _check_engine(line, self.spec)
            if line["engine"] == "started":
                self.dead.append((_whole(line, "died"), line["sample"]))
        elif "load" in line:
            _check_load(line["load"])
        elif "mark" in line:
            _whole(line, "node")
            _text(line, "mark")
            _whole(line, "number", -_LAST)
        elif "op" in line:
            ACTIONS.from_line(line)
        elif "failed" in line:
            _whole(line, "failed")
            _text(line, "reason")
        else:
            raise ValueError("it says nothing that happens in a set")


def time_of(line: Line) -> int:
    """The sample at which a line took effect."""
    if "missed" in line:
        return int(line["missed"][0])
    return int(line["unheard"] if "unheard" in line else line["sample"])


def check_number(cell: ParamCell, number: float) -> None:
    """Raises ValueError for a number out of the parameter's range: processors do not check their cells."""
    param = cell.param
    match param.kind:
        case "text" | "file":
            raise ValueError(f"{param.name} is {param.kind}, which no number changes")
        case "choice":
            low, high = 0.0, len(param.choices) - 1.0
        case "switch" | "trigger":
            low, high = 0.0, 1.0
        case _:
            low, high = param.low, param.high
    spare = _ROUNDING * max(abs(low), abs(high))
    if not low - spare <= number <= high + spare:
        raise ValueError(f"{param.name} takes {low:g} to {high:g}, not {number:g}")


def _check_engine(line: Line, spec: StreamSpec) -> None:
    if line["engine"] not in ("started", "joined"):
        raise ValueError(f"engine takes started or joined, not {str(line['engine'])[:40]!r}")
    tempo = line["tempo"]
    known = {"rate", "bpm", "sample", "beat", "end_bpm", "ramp_beats", "playing"}
    if not isinstance(tempo, dict) or set(tempo) - {"swing", "step"} != known:
        raise ValueError(f"tempo takes {', '.join(sorted(known))}, and may have swing and step")
    for key in ("bpm", "end_bpm"):
        _real(tempo, key, MIN_TEMPO, MAX_TEMPO)
    _real(tempo, "beat", -_MOST, _MOST)
    _real(tempo, "ramp_beats", 0.0, _MOST)
    _whole(tempo, "sample")
    _real(tempo, "swing", 0.0, MAX_SWING, 0.0)
    _real(tempo, "step", MIN_STEP, MAX_STEP, EIGHTH)
    if not isinstance(tempo["playing"], bool):
        raise ValueError("playing takes true or false")
    _real(line, "limited", -_MOST, _MOST, 0.0)
    _whole(line, "rising", 0, spec.rate, 0)
    _whole(line, "wait", 0, default=0)
    for held in line.get("cells", {}).values():
        for start, goal, since, length in held:
            state = {"from": start, "to": goal, "start": since, "length": length}
            _real(state, "from", -_MOST, _MOST)
            _real(state, "to", -_MOST, _MOST)
            _whole(state, "start", -_LAST, line["sample"])
            _whole(state, "length")
    for node, kind, at in line.get("marks", ()):
        mark = {"node": node, "mark": kind, "number": at}
        _whole(mark, "node")
        _text(mark, "mark")
        _whole(mark, "number", -_LAST)
    for reason in line.get("failed", {}).values():
        _text({"failed": reason}, "failed")
    if line.get("load") is not None:
        _check_load(line["load"])
        for key in ("cells", "failed"):
            if not isinstance(line[key], dict):
                raise ValueError(f"{key} takes an object")


def _check_load(load: Any) -> None:
    if not isinstance(load, dict) or not isinstance(load["graph"], dict) or not isinstance(load["ids"], dict):
        raise ValueError("load takes an object with graph, ids, serial, fade and tempo")
    for name in load["ids"]:
        _whole(load["ids"], name)
    _whole(load, "serial", -_LAST)
    _real(load, "fade", 0.0, MAX_FADE)
    if _real(load, "tempo", 0.0, MAX_TEMPO) and load["tempo"] < MIN_TEMPO:
        raise ValueError(f"tempo takes 0, or {MIN_TEMPO:g} to {MAX_TEMPO:g}")


def _whole(line: Line, key: str, low: int = 0, high: int = _LAST, default: int | None = None) -> int:
    value = line[key] if default is None else line.get(key, default)
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{key} takes whole numbers {low} to {high}, not {str(value)[:40]}")
    return value


def _real(line: Line, key: str, low: float, high: float, default: float | None = None) -> float:
    value = line[key] if default is None else line.get(key, default)
    if not is_finite_number(value) or not low <= value <= high:
        raise ValueError(f"{key} takes {low:g} to {high:g}, not {str(value)[:40]}")
    return float(value)


def _text(line: Line, key: str) -> str:
    value = line[key]
    if not isinstance(value, str):
        raise ValueError(f"{key} takes text, not {str(value)[:40]}")
    return value
