"""Sounds taken apart by an analysis that has parts, for what asks for one of them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from antiphon.files.audiowrite import AudioWriter
from antiphon.kernel.contract.block import Samples
from antiphon.kernel.errors import PluginError
from antiphon.kernel.io import audiofile
from antiphon.offline.analyses import separator


def separate_blocks(blocks: Iterable[Samples], rate: int, channels: int) -> tuple[tuple[str, ...], Iterator[Samples]]:
    """Takes a sound apart in bounded memory.

    `blocks`: float32 `[channels, n]`. Returns the names of the parts, and blocks `[parts, channels, n]`, which add up
    to the sound. Raises PluginError: no plugin takes sounds apart.
    """
    found = separator()
    return found.parts, found.separate(blocks, rate, channels)


@contextmanager
def separated_file(
    source: Path, part: str, progress: Callable[[float], None] = lambda _: None
) -> Iterator[tuple[Path, Path]]:
    """Files with one part of a sound and with all the others, of its rate, channels and length, within a context.

    `part`: its name: "voice". `progress`: takes the share that is done. Raises FileError: the sound cannot be read.
    Raises PluginError: no plugin takes sounds apart, or none into such a part.
    """
    with tempfile.TemporaryDirectory(prefix="antiphon-stems-") as folder, audiofile.stream(source) as (info, blocks):
        own, rest = Path(folder) / "part.wav", Path(folder) / "rest.wav"
        parts, stems = separate_blocks(blocks, info.rate, info.channels)
        if part not in parts:
            raise PluginError(f"there is no stem {part!r}; there are {', '.join(parts)}")
        with (
            AudioWriter(own, info.rate, info.channels, "FLOAT") as writer,
            AudioWriter(rest, info.rate, info.channels, "FLOAT") as others,
        ):
            for block in stems:
                alone = block[parts.index(part)]
                writer.write(alone)
                others.write(block.sum(axis=0) - alone)
                if info.frames:
                    progress(min(1.0, writer.frames / info.frames))
        yield own, rest
