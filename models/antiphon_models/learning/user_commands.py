"""Runs the command line in process, so that evaluations measure a user's results.

The arguments are parsed by `antiphon` itself, sounds are passed as files, and an error is the message shown to users.
"""

import io
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.api import F32, UsageError, Value
from antiphon.api.backends.files import MidiSong, read_midi


def command(*arguments: str | Path, answer: Callable[[str], str] | None = None) -> str:
    """Runs `antiphon ARGUMENTS` and returns its standard output.

    `answer` returns a line of standard input, given the standard error so far; without it, standard input is empty.

    Raises `UsageError`: the command exited with a code other than 0; the text is its standard error.
    """
    from antiphon.api.backends.cli import run_command

    out, errors, before = io.StringIO(), io.StringIO(), sys.stdin
    with redirect_stdout(out), redirect_stderr(errors):
        sys.stdin = _Answers(errors, answer) if answer else io.StringIO()
        try:
            code = run_command([str(argument) for argument in arguments])
        finally:
            sys.stdin = before
    if code != 0:
        raise UsageError(f"antiphon {arguments[0]} ended with {code}: {errors.getvalue().strip()}")
    return out.getvalue()


class _Answers(io.TextIOBase):
    """Simulated standard input of a user who reads standard error."""

    def __init__(self, shown: io.StringIO, answer: Callable[[str], str]) -> None:
        super().__init__()
        self._shown, self._answer = shown, answer

    def readline(self, size: int = -1, /) -> str:  # type: ignore[override]
        return self._answer(self._shown.getvalue()) + "\n"


def run_on_sound(plugin: str, sound: F32, rate: int, params: Mapping[str, Value | Path] | None = None) -> F32:
    """Output of `antiphon run PLUGIN in.wav out.wav -p NAME=VALUE` for mono float32 `[frames]`.

    The input is written as 32-bit float; the result has the frames that the command wrote.

    Raises `UsageError`: the command failed, or OUT has another rate or more channels than IN.
    """
    import soundfile

    with sound_file(sound, rate) as source:
        target = source.with_name("out.wav")
        command("run", plugin, source, target, *_options(params), "--tail", "0")
        out, found = soundfile.read(target, dtype="float32", always_2d=True)
    if found != rate or out.shape[1] != 1:
        raise UsageError(f"run {plugin} wrote {out.shape[1]} channels at {found} Hz of a mono sound at {rate} Hz")
    return np.asarray(out[:, 0], np.float32)


def run_to_notes(plugin: str, sound: F32, rate: int, params: Mapping[str, Value | Path] | None = None) -> MidiSong:
    """Notes of `antiphon run PLUGIN in.wav out.mid` for a sound; arguments as of `run_on_sound`."""
    with sound_file(sound, rate) as source:
        target = source.with_name("out.mid")
        command("run", plugin, source, target, *_options(params))
        return read_midi(target)


def analysis_of(sound: F32, rate: int, *analyses: str) -> dict[str, Any]:
    """Result of `analysis_of_file` for float32 `[frames]` or `[channels, frames]`, written as 32-bit float."""
    with sound_file(sound, rate) as path:
        return analysis_of_file(path, *analyses)


def analysis_of_file(path: Path, *analyses: str) -> dict[str, Any]:
    """Output values of `antiphon library analyse FILE --only ANALYSIS --json`, in a temporary catalogue."""
    only = (word for name in analyses for word in ("--only", name))
    with tempfile.TemporaryDirectory() as root:
        return dict(json.loads(command("library", "--root", root, "analyse", path, *only, "--json")))


def _options(params: Mapping[str, Value | Path] | None) -> Iterator[str]:
    for name, value in (params or {}).items():
        yield "-p"
        yield f"{name}={('on' if value else 'off') if isinstance(value, bool) else value}"


@contextmanager
def sound_file(sound: F32, rate: int) -> Iterator[Path]:
    """Temporary 32-bit float file of float32 `[frames]` or `[channels, frames]`."""
    import soundfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "in.wav"
        soundfile.write(path, sound.T, rate, "FLOAT")
        yield path
