"""Standard input and output, `-`, as IN and OUT of a plugin: streamed if the plugin supports it, else as files."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from antiphon.files.audiofile import stream
from antiphon.files.audiowrite import AudioWriter
from antiphon.files.decode import AudioInfo, Decoder, check_samples
from antiphon.files.pipes import MAX_BYTES, STDIN, STDOUT, InputPipe, RawForm
from antiphon.files.temporary import FOLDER, temporary_folder
from antiphon.kernel.contract.block import Samples
from antiphon.kernel.contract.catalog import ProcessorInfo
from antiphon.kernel.errors import FileError, UsageError
from antiphon.offline.output_summary import Written
from antiphon.operations.requests import PIPE, Reporting

_STREAMED = (b"RIFF", b"RF64", b"FORM", b".snd")
"""First bytes of sound formats that can be streamed."""


@dataclass(frozen=True, slots=True)
class PipedSound:
    """Sound of standard input, read once, as it arrives. `raw`: the format of raw samples."""

    pipe: InputPipe
    raw: RawForm | None

    @contextmanager
    def stream(self) -> Iterator[tuple[AudioInfo, Iterator[Samples]]]:
        """Does what `audiofile.stream` does, for standard input."""
        if self.raw is not None:
            yield AudioInfo(self.raw.rate, self.raw.channels, None, "RAW", ""), _bare(self.pipe, self.raw)
            return
        fd = self.pipe.pump()
        try:
            with Decoder("", pipe=fd, name="standard input") as decoder:
                yield decoder.info, decoder.blocks()
        finally:
            os.close(fd)


@dataclass(frozen=True, slots=True)
class PipeEnds:
    """Replacements of `-` as IN and OUT of a plugin. `piped`: streamed sound; None if it is read from a file."""

    paths: tuple[str, ...]
    piped: PipedSound | None = None

    def said(self, text: str) -> str:
        """Replaces internal file names in a sentence by those that the user knows."""
        for path, name in zip(self.paths, ("standard input", "standard output"), strict=True):
            if path in (STDIN, STDOUT) or os.path.basename(os.path.dirname(path)).startswith(FOLDER):
                text = text.replace(path, name)
        return text

    def reporting(self, to: Reporting) -> Reporting:
        """A reporting that uses those names."""

        def wrote(written: Written) -> None:
            path, found = self.said(os.fspath(written.path)), tuple(map(self.said, written.found))
            source, over = self.said(written.source), self.said(written.over)
            to.wrote(replace(written, path=path, source=source, over=over, found=found))

        return replace(to, complain=lambda sentence: to.complain(self.said(sentence)), wrote=wrote)


@contextmanager
def joined(
    paths: tuple[str, ...], raw: RawForm | None, info: ProcessorInfo, settings: Mapping[str, Any]
) -> Iterator[PipeEnds]:
    """Context with files or pipes for IN and OUT; at its end the result for standard output is written there.

    Raises UsageError: there is not exactly one IN and one OUT. Raises FileError: the input is empty, or too long.
    """
    if len(paths) != 2:
        raise UsageError("- is standard input or output: name one IN and one OUT")
    given, out = paths
    with temporary_folder() as folder:
        piped = None
        if given == PIPE:
            given, piped = _input(folder, raw, info, settings)
        kept = folder / ("out.wav" if info.first("audio", "out") is not None else "out.mid")
        whole = bool(info.on_files.job) or kept.suffix == ".mid"
        yield PipeEnds((given, str(kept) if whole else STDOUT) if out == PIPE else (given, out), piped)
        if out == PIPE and whole:
            _written(kept, raw)


def _input(
    folder: Path, raw: RawForm | None, info: ProcessorInfo, settings: Mapping[str, Any]
) -> tuple[str, PipedSound | None]:
    """The name of IN, and its sound if that is streamed."""
    use, pipe = info.on_files, InputPipe()
    if raw is None and stat.S_ISREG(os.fstat(0).st_mode):
        return STDIN, None
    if not (head := pipe.peek()):
        raise FileError("cannot read standard input: it gave nothing (0 bytes)")
    forward = not use.job and not use.hears and settings.get(use.stem, "all") == "all"
    if forward and (raw is not None or head[:4] in _STREAMED):
        return STDIN, PipedSound(pipe, raw)
    kept = folder / ("in.mid" if head[:4] == b"MThd" and raw is None else "in.wav")
    if raw is None:
        pipe.write_all_to(kept, MAX_BYTES)
    else:
        with AudioWriter(kept, raw.rate, raw.channels, "FLOAT") as writer:
            for block in _bare(pipe, raw):
                writer.write(block)
    return str(kept), None


def _bare(pipe: InputPipe, raw: RawForm) -> Iterator[Samples]:
    """Yields raw samples as they arrive. Raises FileError: one is not finite, or far too large."""
    frames = 0
    for block in pipe.blocks(raw):
        check_samples(block, frames / raw.rate, raw.rate, "standard input")
        frames += block.shape[1]
        yield block


def _written(kept: Path, raw: RawForm | None) -> None:
    """Writes a file to standard output."""
    if raw is None or kept.suffix == ".mid":
        with open(kept, "rb") as file, os.fdopen(os.dup(1), "wb") as out:
            shutil.copyfileobj(file, out)
        return
    from antiphon.files.sound_finish import SoundFinish

    finish = SoundFinish(raw=raw)
    with stream(kept) as (info, blocks), AudioWriter(STDOUT, info.rate, info.channels, finish=finish) as writer:
        for block in blocks:
            writer.write(block)
