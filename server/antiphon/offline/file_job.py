"""Jobs of a plugin on a file: their arguments, and checks of the command line or request before they start."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from antiphon.files.sound_finish import FADE, PLAIN, SoundFinish
from antiphon.kernel.contract.catalog import ProcessorInfo
from antiphon.kernel.contract.params import Param, Value, suggest_parameters
from antiphon.kernel.errors import ParamError, PluginError, Refusal
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.console import say
from antiphon.kernel.runtime.shortening import short_repr, shorten
from antiphon.kernel.runtime.sound_formats import READ_SUFFIXES
from antiphon.kernel.runtime.terms import path_text, spell

# ---- What a processor needs where it works on files, as it declares: for the command line, HTTP and Python


def check_has_output(info: ProcessorInfo) -> None:
    """Raises `PluginError` for a processor without an audio or events output, which has nothing to write to a file."""
    if info.first("audio", "out") is None and info.first("events", "out") is None:
        raise PluginError(
            f"{info.type} gives neither sound nor notes, so that there is nothing to write; use it in a patch"
        )


def transposes(info: ProcessorInfo, values: Mapping[str, Value]) -> bool:
    """Whether a processor changes the pitch of a sound: always, or by values in semitones or cents."""
    by = (p for p in info.params if p.unit in ("semitones", "cents") and not p.readonly)
    moved = any(values.get(p.name, p.default) != p.default for p in by)
    return info.first("audio", "in") is not None and (moved or "pitch" in info.on_files.changes)


def needed(info: ProcessorInfo) -> tuple[Param, ...]:
    """Parameters that must be given on the command line for files."""
    return tuple(p for p in info.params if p.name in info.on_files.needs)


def needed_value(param: Param) -> str:
    """Usage text for a required parameter's value: "FILE", or the only choice."""
    return "FILE" if param.kind == "file" else str(param.default)


# ---- A plugin over a file: what its job is given, and what is checked before, of a command line or a request

MAX_FIRE = 7 * 24 * 3600.0
"""Latest second at which a trigger fires."""
Fires: TypeAlias = tuple[tuple[str, float], ...]
"""Triggers, each with the second at which it fires."""
Named: TypeAlias = tuple[str, str | os.PathLike[str]]
"""What a file is in the terms of the one who asked (IN, --midi-out), and its path."""


@dataclass(frozen=True, slots=True)
class FileJob:
    """One output file: argument of the function named by `FileUse.job`.

    The function writes `target` and returns a `Written`. It refuses invalid requests with a `UsageError`.

    Attributes:
        source: A sound file, a MIDI file or a folder.
        fires: The triggers of `FileUse.fires` that fire, each with its seconds.
        block: Frames of a block.
        stems: Further requested sound files, by the names in `FileUse.stems`; or, instead of the target, all those in
            `FileUse.splits`.
        beside: Further requested files, by the names in `FileUse.beside`.
        given: Texts or file names of separate options: "chords", and "only" and "without", which are comma-separated
            names of parts.
        fade: Seconds over which a sound that has not ended is faded out.
        finish: Finishing of the written sounds, for `AudioWriter`.
        progress: Called with the finished fraction, 0 to 1.
        ask: Asks the user a question and returns the answer; "" without a terminal.
    """

    plugin: str
    source: Path
    target: Path
    settings: Mapping[str, Value] = field(default_factory=dict)
    block: int = 256
    stems: Mapping[str, Path] = field(default_factory=dict)
    beside: Mapping[str, Path] = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict)
    fade: float = FADE
    finish: SoundFinish = PLAIN
    progress: Callable[[float], None] = lambda part: None
    complain: Callable[[str], None] = say
    ask: Callable[[str], str] = lambda question: ""
    fires: Fires = ()

    @staticmethod
    def rate_beside(rate: int) -> int:
        """Sample rate in Hz of instruments added to a recording: its own from 44.1 kHz on, else 44.1 or 48 kHz."""
        return rate if rate >= 44100 else 44100 if 44100 % rate == 0 else 48000

    def uses(self, *names: str, where: str = "on files") -> None:
        """Reports the given settings that have no effect: those not named here."""
        idle = sorted(self.settings.keys() - set(names))
        if idle:
            self.complain(f"{', '.join(idle)} of {self.plugin} {'has' if len(idle) == 1 else 'have'} no effect {where}")


def takes_notes_alone(info: ProcessorInfo) -> bool:
    """Whether a processor takes notes and no sound."""
    return info.first("audio", "in") is None and info.first("events", "in") is not None


def read_settings(
    info: ProcessorInfo, given: Iterable[tuple[str, Any]], path_of: Callable[[Param, Any], str]
) -> tuple[dict[str, Value], Fires]:
    """Converts given values for their parameters, and finds when triggers fire; `path_of`: path of a file's value.

    Raises AntiphonError: a value is not allowed; the message says what is.
    """
    cells = {p.name: p for p in info.cells if not p.readonly}
    values: dict[str, Value] = {}
    fires: list[tuple[str, float]] = []
    for name, value in given:
        param = cells.get(name)
        if param is None:
            raise ParamError(
                f"{info.type} has no parameter {shorten(name)!r}{suggest_parameters(name, cells.values())}"
            )
        if param.kind != "trigger":
            values[name] = param.check(path_of(param, value)) if param.kind == "file" else param.typed(value)
        elif info.on_files.job and name not in info.on_files.fires:
            raise Refusal(name, f"{name} of {info.type} is for playing live, and does nothing in files", "leave it out")
        else:
            fires.append((name, _second(name, value)))
    return values, tuple(fires)


def _second(name: str, value: Any) -> float:
    try:
        seconds = -1.0 if isinstance(value, bool) else float(value)
    except (ValueError, TypeError, OverflowError):
        seconds = -1.0
    if not 0.0 <= seconds <= MAX_FIRE:
        raise ParamError(f"{name} takes the seconds at which it fires, 0 or more, not {short_repr(value)}")
    return seconds


def check_distinct(read: Iterable[Named], written: Iterable[Named], mend: str = "") -> None:
    """Checks that no output file is an input file, or another output file.

    `read`: each input file. A folder stands for its contents. `mend`: advice if
    the conflict is with OUT; "" advises another name. Raises Refusal: two of them are the same file.
    """
    outs = [(what, path, paths.file_identity(path)) for what, path in written]
    folders = any(os.path.exists(path) for _, path, _ in outs)
    known: dict[object, str] = {}
    for what, path in read:
        known.setdefault(paths.file_identity(path), what)
        if folders:
            for inner in _inside(path):
                known.setdefault(paths.file_identity(inner), what)
    for what, path, existing in outs:
        if existing in known:
            both = f"two of {what}" if known[existing] == what else f"{known[existing]} and {what}"
            hint = mend if mend and what == spell("target") else f"give {what} a name of its own"
            raise Refusal(what, f"{both} are the same file, {path_text(path)}", hint)
        known[existing] = what


def check_free(written: Iterable[Named], *, force: bool) -> None:
    """Raises Refusal if an output file exists, unless `force`."""
    from antiphon.files.pipes import STDOUT

    for what, path in written:
        # a path that is no regular file is refused, with the reason, by the function that writes it; standard output
        # was opened by the shell
        if not force and os.fspath(path) != STDOUT and os.path.isfile(path):
            hint = f"give {what} another name, or {spell('force')} to write over it"
            raise Refusal(what, f"{path_text(path)} is there already", hint)


def _inside(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields sound files, and their rules, in a folder and below; nothing if it is no folder."""
    for place, _, names in os.walk(folder):
        for name in names:
            if os.path.splitext(name)[1].lower() in (*READ_SUFFIXES, ".toml"):
                yield Path(place) / name
