"""Reader of a recorded session's log. It checks all lines before the replay, since the file may come from anywhere."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta, Struct, defstruct

from antiphon.kernel.contract.block import StreamSpec
from antiphon.kernel.contract.parameter_cell import ParamCell
from antiphon.kernel.engine.journal import VERSION
from antiphon.kernel.errors import AntiphonError, FileError
from antiphon.kernel.graph.clock import EIGHTH, MAX_STEP, MAX_SWING, MAX_TEMPO, MIN_STEP, MIN_TEMPO
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.settings import MAX_BLOCK, MIN_BLOCK, RATES
from antiphon.kernel.runtime.shortening import count_of
from antiphon.kernel.runtime.sound_formats import MAX_CHANNELS
from antiphon.kernel.runtime.terms import path_text
from antiphon.kernel.runtime.typed import convert, parse_json
from antiphon.kernel.session.actions import ACTIONS
from antiphon.kernel.session.graph_state import MAX_FADE

LOG, INPUT = "session.jsonl", "input.wav"
MAX_LOG_BYTES = 1 << 30
Line: TypeAlias = dict[str, Any]
"""A checked line of the log."""
_MAX_SAMPLE = 1 << 53
"""Largest sample: integers up to here are exact as float64."""
_MAX_NUMBER = 1e9
"""Largest beat, ramp or gain."""
_ROUNDING = 1e-6
"""Relative tolerance outside a range: numbers are rounded to float32."""


def session_folder(name: str) -> Path:
    """Folder of a recorded session, given as a path or as a name in the performer's folder of sessions."""
    folder = Path(name)
    try:
        if not folder.is_dir() and (paths.path_inside(paths.sessions(), name) / LOG).is_file():
            return paths.path_inside(paths.sessions(), name)
    except (OSError, FileError):
        return folder
    return folder


_Sample: TypeAlias = Annotated[int, Meta(ge=0, le=_MAX_SAMPLE)]
_Signed: TypeAlias = Annotated[int, Meta(ge=-_MAX_SAMPLE, le=_MAX_SAMPLE)]
_Real: TypeAlias = Annotated[float, Meta(ge=-_MAX_NUMBER, le=_MAX_NUMBER)]
_Bpm: TypeAlias = Annotated[float, Meta(ge=MIN_TEMPO, le=MAX_TEMPO)]


class _Header(Struct):
    rate: int
    block: Annotated[int, Meta(ge=MIN_BLOCK, le=MAX_BLOCK)]
    channels: Annotated[int, Meta(ge=1, le=MAX_CHANNELS)]
    device: str = "cpu"
    synth: str = "auto"


class _Tempo(Struct, forbid_unknown_fields=True, kw_only=True):
    rate: Any
    bpm: _Bpm
    sample: _Sample
    beat: _Real
    end_bpm: _Bpm
    ramp_beats: Annotated[float, Meta(ge=0.0, le=_MAX_NUMBER)]
    playing: bool
    swing: Annotated[float, Meta(ge=0.0, le=MAX_SWING)] = 0.0
    step: Annotated[float, Meta(ge=MIN_STEP, le=MAX_STEP)] = EIGHTH
    waits: _Sample = 0


class _Load(Struct):
    graph: dict[str, Any]
    ids: dict[str, _Sample]
    serial: _Signed
    fade: Annotated[float, Meta(ge=0.0, le=MAX_FADE)]
    tempo: Annotated[float, Meta(ge=0.0, le=MAX_TEMPO)]

    def __post_init__(self) -> None:
        if 0.0 < self.tempo < MIN_TEMPO:
            raise ValueError(f"tempo takes 0, or {MIN_TEMPO:g} to {MAX_TEMPO:g}")


class _Engine(Struct):
    sample: _Sample
    engine: Literal["started", "joined"]
    tempo: _Tempo
    died: _Sample = 0
    limited: _Real = 0.0
    rising: _Sample = 0
    wait: _Sample = 0
    latency: _Sample = 0
    cells: dict[str, list[tuple[_Real, _Real, _Signed, _Sample]]] | None = None
    marks: list[tuple[_Sample, str, _Signed]] = []
    failed: dict[str, str] | None = None
    load: _Load | None = None


HeardEvent: TypeAlias = tuple[int, str, Annotated[int, Meta(ge=0, le=127)], _Real, Annotated[int, Meta(ge=1, le=16)]]
"""An event: offset in the block in frames, kind, number, value and channel, as in `Event`."""
TOLD = frozenset(("heard", "beat_line"))
"""Keys of lines that a replay writes itself. They do not change the sound, and their order among others is free."""
_LINES: Mapping[str, type[Struct]] = {
    "unheard": defstruct("Unheard", [("unheard", _Sample)]),
    "missed": defstruct("Missed", [("missed", tuple[_Sample, _Sample])]),
    "engine": _Engine,
    "load": defstruct("Loaded", [("sample", _Sample), ("load", _Load)]),
    "mark": defstruct("Mark", [("sample", _Sample), ("node", _Sample), ("mark", str), ("number", _Signed)]),
    "op": defstruct("Action", [("sample", _Sample)]),
    "cue": defstruct("LoggedCue", [("sample", _Sample), ("cue", str), ("values", list[bool | float | str])]),
    "heard": defstruct("Heard", [("sample", _Sample), ("heard", str), ("events", list[HeardEvent])]),
    "beat_line": defstruct("BeatPoint", [("sample", _Sample), ("beat_line", _Real), ("bpm", _Real)]),
    "failed": defstruct("Failed", [("sample", _Sample), ("failed", _Sample), ("reason", str)]),
    "latency": defstruct("Latency", [("sample", _Sample), ("latency", _Sample)]),
}
"""The lines, by the key that each has."""


class SessionLog:
    """The header and the lines of a session log."""

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
            raise FileError(f"cannot read {self.name}: {paths.os_error_text(error)}") from None
        if not numbered or numbered[0][1].get("session") != VERSION:
            raise FileError(f"{self.name} is no session log of this version; its first line must say session {VERSION}")
        (number, self.header), *lines = numbered
        with self.line(number):
            head = convert(self.header, _Header, "the line")
            if head.rate not in RATES:
                raise ValueError(f"rate takes {', '.join(map(str, RATES))}, not {head.rate}")
            self.spec = StreamSpec(head.rate, head.block, head.channels)
        start = next((at for at, (_, line) in enumerate(lines) if "engine" in line), len(lines))
        lines = lines[start:]  # lines before it belong to the previous session
        self.silent: set[int] = set()  # samples of the blocks that were computed too late
        self.dead: list[tuple[int, int]] = []  # spans of samples, (first, after the last), that were not computed
        for number, line in lines:
            with self.line(number):
                self._check(line)
        told = ("cue", "heard", "beat_line")
        self.lines = [numbered for numbered in lines if not any(key in numbered[1] for key in told)]
        self.cues, self.heard, self.beats = ([line for _, line in lines if key in line] for key in told)
        self.first: int = self.lines[0][1]["sample"] if self.lines else 0  # sample of the first block
        self.midway = bool(self.lines) and self.lines[0][1].get("engine") == "joined"  # begun while it played

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
                f"{INPUT} has {rate} Hz and {count_of(channels, 'channel')}, and line 1 of {self.name} says "
                f"{self.spec.rate} and {self.spec.channels}: it is not of this set"
            )

    def _read(self, path: Path) -> Iterator[tuple[int, Line]]:
        with path.open(encoding="utf-8", errors="replace") as file:
            for number, text in enumerate(file, 1):
                try:
                    line = parse_json(text)
                except ValueError:
                    if not text.endswith("\n"):
                        return  # the server was killed while it wrote this line
                    raise FileError(f"{self.name}, line {number}: not JSON") from None
                if not isinstance(line, dict):
                    raise FileError(f"{self.name}, line {number}: not an object")
                yield number, line

    def _check(self, line: Line) -> None:
        """Raises ValueError or AntiphonError for a line that the engine would not write."""
        key = next((key for key in _LINES if key in line), None)
        if key is None:
            raise ValueError("it says nothing that happens in a set")
        checked = convert(line, _LINES[key], "the line")
        match key:
            case "unheard":
                self.silent.add(line["unheard"])
            case "missed":
                self.dead.append((line["missed"][0], line["missed"][1]))
            case "op":
                ACTIONS.from_line(line)
        if isinstance(checked, _Engine):
            if checked.rising > self.spec.rate:
                raise ValueError(f"rising takes whole numbers 0 to {self.spec.rate}, not {checked.rising}")
            if checked.load is not None and (checked.cells is None or checked.failed is None):
                raise ValueError("an engine with a plan has cells and failed")
            if any(start > checked.sample for held in (checked.cells or {}).values() for _, _, start, _ in held):
                raise ValueError(f"start takes whole numbers up to its sample, {checked.sample}")
            if checked.engine == "started":
                self.dead.append((line["died"], checked.sample))


def time_of(line: Line) -> int:
    """The sample at which a line took effect."""
    if "missed" in line:
        return int(line["missed"][0])
    return int(line["unheard"] if "unheard" in line else line["sample"])


def check_cell(cell: ParamCell, number: float) -> None:
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
