"""`antiphon.run`: applies a processor to sound or notes of a Python program, like the command `antiphon run`."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from antiphon.files.scores.midi_suffixes import is_midi
from antiphon.files.temporary import temporary_folder
from antiphon.kernel.errors import PluginError, UsageError
from antiphon.kernel.graph.graph import known_type
from antiphon.kernel.runtime.arguments import arguments
from antiphon.kernel.runtime.shortening import short_repr
from antiphon.kernel.runtime.terms import hold_file_names
from antiphon.operations import run as operation
from antiphon.operations.given import (
    check_no_rate,
    copy_samples,
    is_notes,
    is_path,
    path_of,
    rate_of,
    split_words,
    write_notes,
    write_sound,
)
from antiphon.operations.plan import check_name
from antiphon.operations.requests import FinishRequest, Progress, RenderRequest, Reporting, RunRequest, is_script
from antiphon.operations.result import Result, read_notes, read_sound, shape_sound
from antiphon.operations.wording import word_refusals

if TYPE_CHECKING:
    from antiphon.kernel.contract.catalog import ProcessorInfo
    from antiphon.kernel.plugins.loader import Loaded
    from antiphon.offline.output_summary import Written

_INSTRUMENTS = "soundfont"
"""The processor that plays notes if no other does."""
_loading = threading.Lock()


@cache
def _loaded() -> Loaded:
    from antiphon.kernel.plugins.loader import load

    return load(check=False)


def every_plugin() -> Loaded:
    """Every plugin of this machine, loaded once in this process."""
    with _loading:
        return _loaded()


_OWN = ("plugin", "paths", "param", "out_dir", "recursive", "raw", "rate", "tag")
_TAKEN = (one for kind in (RunRequest, FinishRequest) for one in arguments(kind) if not one.extra("beside"))
_OPTIONS = ("resample", *(one.name for one in _TAKEN if one.name not in _OWN))
"""Options of `antiphon run` that a call accepts, except those for further files; `resample` is --rate."""


@word_refusals
def run(
    name: str,
    sound: Any = None,
    rate: float | None = None,
    /,
    *,
    out: str | os.PathLike[str] | None = None,
    progress: Callable[[float], None] | bool | None = None,
    **params: Any,
) -> Result:
    """Applies a processor to sound or notes, with the samples of `antiphon run`.

    Args:
        name: The processor's name, as listed by `antiphon plugins`.
        sound: Floats or integers, `[frames]` or `[channels, frames]`; the path of a sound or MIDI file; notes as
            `Note`s, a `mido.MidiFile`, a `pretty_midi.PrettyMIDI` or a `Result`. None for a source.
        rate: Frames a second of an array; a file has its own, and `resample` is that of the result.
        out: A file to write, like OUT of the command; then sound of any length is processed block by block, and
            `Result.sound` is read on access. An existing file is replaced, unless `force` is False.
        progress: Called with the finished fraction, 0 to 1; True draws a bar with tqdm.
        **params: The processor's parameters; and, unless it has one of that name, the options of `antiphon run`:
            `stems`, `only`, `without`, `chords`, `tail`, `fade`, `block`, `device`, `causal`, `limit`, `normalise`,
            `resample`, `force`.

    Raises:
        AntiphonError: An argument is not allowed, a file cannot be read or written, or the processor fails. The message
            says what is allowed and what to do.
    """
    if not isinstance(name, str):
        raise UsageError(f"the first argument is the name of a processor, as 'denoise', not {type(name).__name__}")
    known = every_plugin()
    check_name(name, known.catalog)
    info = known_type(name, known.catalog)
    options, given = _split_options(info, params)
    warnings: list[str] = []
    with temporary_folder() as folder, progress_display(progress, name) as shown, hold_file_names(_names(folder)):
        source, flat = _source(name, info, sound, rate, folder)
        files = _CallFiles(info, options, source, folder, None if out is None else Path(path_of(out)))
        written: list[Written] = []
        operation.run(files.request(name, given), known, Reporting(warnings.append, written.append, shown))
        made = files.result(written, tuple(warnings), flat=flat)
    made._play = partial(_play_result, made, name, sound, rate, params)
    return made


def _play_result(
    made: Result, name: str, sound: Any, rate: float | None, params: dict[str, Any]
) -> tuple[np.ndarray[Any, Any], int]:
    """Sound of a result with notes: the processor's own, or the notes played by a soundfont."""
    if every_plugin().catalog[name].on_files.job:
        with temporary_folder() as folder, suppress(UsageError):  # it writes notes alone, of notes at least
            again = run(name, sound, rate, out=folder / "out.wav", **params)
            return again.sound, again.rate
    again = run(_INSTRUMENTS, made.midi())
    return again.sound, again.rate


def _split_options(info: ProcessorInfo, params: dict[str, Any]) -> tuple[dict[str, Any], list[tuple[str, Any]]]:
    """Separates options from values of the processor's parameters, whose names take precedence."""
    own = {param.name for param in info.cells}
    options: dict[str, Any] = {}
    given: list[tuple[str, Any]] = []
    for each, value in params.items():
        text = each == "chords" and info.on_files.chords and isinstance(value, str)
        if text or (each in _OPTIONS and each not in own):
            options[each] = split_words(value) if each in ("only", "without") else value
        else:
            given.append((each, _plain(value)))
    return options, given


def _plain(value: Any) -> Any:
    """Converts a value for the command line: numpy numbers to Python's, paths to text, lists to text with commas."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
        return ",".join(value)
    return value


@contextmanager
def progress_display(progress: Callable[[float], None] | bool | None, name: str) -> Iterator[Any]:
    """Context with the field `progress` of a `Reporting`."""
    if not (progress is None or isinstance(progress, bool) or callable(progress)):
        raise UsageError(f"progress takes a function of the part that is done, or True, not {short_repr(progress)}")
    call = progress if callable(progress) else None
    bar = None
    if progress is True:
        try:
            from tqdm.auto import tqdm  # type: ignore[import-untyped]
        except ImportError:
            raise UsageError(
                "progress=True draws with tqdm, which is not installed; pip install tqdm, or give a function of the "
                "part that is done"
            ) from None

        bar = tqdm(total=1.0, desc=name, bar_format="{l_bar}{bar}| {elapsed}<{remaining}")
    at = [0.0]

    class Told:
        def __init__(self, total: int | None) -> None:
            self.total = total

        def update(self, done: int) -> None:
            part = min(1.0, done / self.total) if self.total else 0.0
            if part <= at[0]:
                return
            if call is not None:
                call(part)
            if bar is not None:
                bar.update(part - at[0])
            at[0] = part

    @contextmanager
    def told(label: str, total: int | None, rate: int) -> Iterator[Progress]:
        at[0] = 0.0
        yield Told(total)

    try:
        yield told
    finally:
        if bar is not None:
            bar.close()


def _source(name: str, info: ProcessorInfo, sound: Any, rate: float | None, folder: Path) -> tuple[str, bool]:
    """Path of IN, and whether the sound was `[frames]`."""
    if sound is None:
        if info.on_files.default_source:
            return "", False
        raise UsageError(f'{name} needs a sound, a path or notes: antiphon.run("{name}", sound, rate)')
    if isinstance(sound, Result) and sound.notes and info.first("events", "in") is not None:
        return _write_given_notes(sound, folder / "in.mid"), False
    path = _write_given(sound, rate, folder, f'antiphon.run("{name}", sound, 48000)')
    if is_path(sound) or path.endswith(".mid"):
        return path, False
    return path, np.ndim(sound.sound if isinstance(sound, Result) else sound) == 1


@dataclass(frozen=True, slots=True)
class _CallFiles:
    """Files of one call."""

    info: ProcessorInfo
    options: dict[str, Any]
    source: str
    folder: Path
    out: Path | None

    @property
    def apart(self) -> bool:
        """Whether IN is separated into parts, a file for each."""
        part = self.options.get("only") or self.options.get("without")
        return bool(self.info.on_files.splits) and self.out is None and not part

    @property
    def target(self) -> Path:
        """OUT."""
        if self.out is not None:
            return self.out
        info, use = self.info, self.info.on_files
        gives_sound = info.first("audio", "out") is not None or use.splits
        # a job that has both writes notes of notes
        of_notes = use.job and info.first("events", "in") is not None and is_midi(Path(self.source))
        notes = info.first("events", "out") is not None and (not gives_sound or of_notes)
        return self.folder / ("out.mid" if notes else "out.wav")

    def request(self, name: str, given: list[tuple[str, Any]]) -> RunRequest:
        """Makes the request of the operation."""
        options, use, notes = self.options.copy(), self.info.on_files, is_midi(self.target, written=True)
        paths = [self.source] if self.source else []
        beside = {
            name: str(self.folder / file)
            for name, option, file in (("midi_out", "midi-out", "notes.mid"), ("report", "report", "report.json"))
            if option in use.beside and not (notes and name == "midi_out")
        }
        finish = FinishRequest(limit=options.pop("limit", None), normalise=options.pop("normalise", None))
        options["stems"] = options.get("stems") or bool(use.stems and self.out is None and not notes)
        return RunRequest(
            name,
            tuple(paths) if self.apart else (*paths, str(self.target)),
            tuple(given),
            str(self.folder / "parts") if self.apart else None,
            rate=options.pop("resample", 0),
            finish=finish,
            **{"force": True, **options, **beside},
        )

    def result(self, written: list[Written], warnings: tuple[str, ...], *, flat: bool) -> Result:
        """Makes the result of an operation from the files that it wrote."""
        made = Result(
            said="; ".join(filter(None, map(_closing_words, written))), warnings=warnings, path=self.out, _flat=flat
        )
        made.warnings += tuple(each.over for each in written if each.over)
        if (report := self.folder / "report.json").exists():
            made.report = json.loads(report.read_text())
        for notes in (self.target, self.folder / "notes.mid"):
            if is_midi(notes, written=True) and notes.exists():
                made.notes, made._midi = read_notes(notes)
        if self.apart:
            parts = {part: read_sound(self.folder / "parts" / f"{part}.wav") for part in self.info.on_files.splits}
            made.rate = next(iter(parts.values()))[1]
            made._parts = {part: shape_sound(samples, flat=flat) for part, (samples, _) in parts.items()}
            made._sound = np.sum(list(made._parts.values()), axis=0, dtype=np.float32)
        elif self.out is None and not is_midi(self.target, written=True):
            samples, made.rate = read_sound(self.target)
            made._sound = shape_sound(samples, flat=flat)
            made._parts = {
                part: shape_sound(read_sound(path)[0], flat=flat)
                for part in self.info.on_files.stems
                if (path := self.folder / f"out-{part}.wav").exists()
            }
        elif self.out is not None:
            made.rate = next((each.rate for each in written if each.rate), 0)
        return made


def _names(folder: Path) -> dict[str, str]:
    """What the files of a call are to the program."""
    words = {"in.wav": "the sound", "in.mid": "what was given", "played.mid": "the notes"}
    words["notes.mid"] = "the result's .notes"
    return {**{str(folder / file): name for file, name in words.items()}, str(folder): "the result"}


def _closing_words(written: Written) -> str:
    """The closing line of a file, without its name and its source's."""
    words = str(replace(written, path="", source="")).removeprefix("wrote : ")
    return ", ".join(part for part in words.split(", ") if part.strip() != "from").replace(", from : ", ": ")


@word_refusals
def render(
    patch: str | os.PathLike[str],
    sound: Any = None,
    rate: float | None = None,
    /,
    *,
    seconds: float | None = None,
    bars: float | None = None,
    notes: Any = None,
    out: str | os.PathLike[str] | None = None,
    progress: Callable[[float], None] | bool | None = None,
    tail: float | None = None,
    fade: float | None = None,
    block: int = 0,
    device: str = "auto",
    synth: str = "auto",
    limit: bool | None = None,
    normalise: float | None = None,
) -> Result:
    """Renders a patch or a live script, with the samples of `antiphon render`.

    Args:
        patch: Name or path of a patch; path of a live script, or its text, which has more than one line.
        sound: The input, in the forms of `run`; None for silence.
        rate: Frames a second of an array.
        seconds: Length of the result; None for the input's length and a tail.
        bars: Length of a live script's result.
        notes: Notes, in the forms of `run`, for every node that takes notes and has no wire for them.
        out: A file to write; an existing one is replaced.
        progress: See `run`.
        tail, fade, block, device, synth, limit, normalise: The options of `antiphon render`.

    Returns:
        The result, `[channels, frames]`; for a live script also with its notes and, by track, its parts.

    Raises:
        AntiphonError: An argument is not allowed, or a node fails. A script's error names its line.
    """
    options = {
        "seconds": seconds,
        "bars": bars,
        "tail": tail,
        "block": block,
        "device": device,
        "synth": synth,
        "finish": FinishRequest(limit=limit, normalise=normalise),
        **({} if fade is None else {"fade": fade}),
    }
    if not is_path(patch):
        raise UsageError(f"the first argument is a patch or a live script, not {short_repr(patch)}")
    given = _RenderGiven(os.fspath(patch), sound, rate, notes, options)
    made, script = _render(given, None if out is None else Path(path_of(out)), progress)
    if script and out is None:
        made._take_apart = partial(_tracks, given, made.sound.shape[1])
    return made


@dataclass(frozen=True, slots=True)
class _RenderGiven:
    """Arguments of `render`."""

    patch: str
    sound: Any
    rate: float | None
    notes: Any
    options: Mapping[str, Any]


def _render(
    given: _RenderGiven,
    out: Path | None,
    progress: Callable[[float], None] | bool | None = None,
    tracks: dict[str, np.ndarray[Any, Any]] | None = None,
) -> tuple[Result, bool]:
    """Renders a patch or a script; returns the result, and whether it is a script; `tracks` gets each track's sound."""
    from antiphon.operations import render as rendering

    warnings: list[str] = []
    written: list[Written] = []
    with temporary_folder() as folder, progress_display(progress, "render") as shown, hold_file_names(_names(folder)):
        name, sound = given.patch, given.sound
        if "\n" in name:
            (folder / "script.py").write_text(name)
            name = str(folder / "script.py")
        script = is_script(name)
        target = out or folder / "out.wav"
        example = 'antiphon.render("demo", sound, 48000)'
        asked = RenderRequest(
            name,
            str(target),
            () if sound is None else (_write_given(sound, given.rate, folder, example),),
            None if given.notes is None else _write_given_notes(given.notes, folder / "played.mid"),
            stems=None if tracks is None else str(folder / "parts"),
            midi=str(folder / "notes.mid") if script else None,
            force=True,
            **given.options,
        )
        if rendering.render(asked, every_plugin(), Reporting(warnings.append, written.append, shown)):
            raise PluginError("; ".join(warnings) or "a node failed")
        made = Result(rate=written[0].rate, said=_closing_words(written[0]), warnings=tuple(warnings), path=out)
        if script and (folder / "notes.mid").exists():
            made.notes, made._midi = read_notes(folder / "notes.mid")
        if out is None:
            made._sound, made.rate = read_sound(target)
        if tracks is not None:
            tracks |= {path.stem: read_sound(path)[0] for path in sorted((folder / "parts").glob("*.wav"))}
    return made, script


def _tracks(given: _RenderGiven, frames: int) -> dict[str, np.ndarray[Any, Any]]:
    """Sounds of a live script's tracks, each of `frames` frames."""
    tracks: dict[str, np.ndarray[Any, Any]] = {}
    _render(given, None, tracks=tracks)
    return {
        name: np.pad(track, ((0, 0), (0, max(0, frames - track.shape[1]))))[:, :frames]
        for name, track in tracks.items()
    }


def _write_given(sound: Any, rate: float | None, folder: Path, example: str) -> str:
    """Path of the given sound or notes."""
    check_no_rate(sound, rate)
    if is_path(sound):
        return path_of(sound)
    if isinstance(sound, Result):
        return str(write_sound(folder / "in.wav", np.atleast_2d(sound.sound), sound.rate))
    if is_notes(sound):
        return str(write_notes(folder / "in.mid", sound))
    return str(write_sound(folder / "in.wav", copy_samples(sound), rate_of(rate, example)))


def _write_given_notes(notes: Any, file: Path) -> str:
    """Path of the given notes, which are written into `file` if they have no path."""
    if is_path(notes):
        return path_of(notes)
    return str(write_notes(file, notes.midi() if isinstance(notes, Result) else notes))
