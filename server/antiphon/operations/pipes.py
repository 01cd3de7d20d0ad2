"""Standard input and output, `-`, as IN and OUT of a plugin: streamed if the plugin supports it, else as files."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from antiphon.files.audiofile import stream
from antiphon.files.audiowrite import AudioWriter
from antiphon.files.decode import AudioInfo, Decoder, check_samples
from antiphon.files.pipes import MAX_BYTES, STDIN, STDOUT, InputPipe, RawForm
from antiphon.files.temporary import temporary_folder
from antiphon.kernel.contract.block import Samples
from antiphon.kernel.errors import FileError
from antiphon.kernel.runtime.terms import hold_file_names
from antiphon.operations.file_tasks import FileTask
from antiphon.operations.requests import PIPE

if TYPE_CHECKING:
    from antiphon.operations.plan import FilePlan

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


@contextmanager
def open_ends(plan: FilePlan) -> Iterator[tuple[FilePlan, PipedSound | None]]:
    """Context with the plan over files or pipes in place of `-`, and the sound of IN if that is streamed.

    At its end the result for standard output is written there. Raises FileError: the input is empty, or too long.
    """
    source, target = (str(path) for path in (plan.tasks[0].source, plan.tasks[0].target))
    with temporary_folder() as folder, ExitStack() as stack:
        piped, out, names = None, target, {}
        if source == PIPE:
            source, piped = _open_input(folder, plan)
            names[source] = "standard input"
        kept = folder / ("out.wav" if plan.info.first("audio", "out") is not None else "out.mid")
        whole = bool(plan.info.on_files.job) or kept.suffix == ".mid"
        if target == PIPE:
            out = str(kept) if whole else STDOUT
            names[out] = "standard output"
        finish = replace(plan.finish, raw=plan.raw) if out == STDOUT else plan.finish
        stack.enter_context(hold_file_names(names))
        yield replace(plan, tasks=(FileTask(Path(source), Path(out)),), finish=finish), piped
        if target == PIPE and whole:
            _write_out(kept, plan.raw)


def _open_input(folder: Path, plan: FilePlan) -> tuple[str, PipedSound | None]:
    """Opens standard input; returns the name of IN, and its sound if that is streamed."""
    use, raw, pipe = plan.info.on_files, plan.raw, InputPipe()
    if raw is None and stat.S_ISREG(os.fstat(0).st_mode):
        return STDIN, None
    if not (head := pipe.peek()):
        raise FileError("cannot read standard input: it gave nothing (0 bytes)")
    forward = not use.job and not use.hears and plan.values.get(use.stem, "all") == "all"
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


def _write_out(kept: Path, raw: RawForm | None) -> None:
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
