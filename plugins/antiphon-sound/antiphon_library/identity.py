"""Identity of a file: a fast digest of its bytes, and one of its samples, independent of tags."""

import hashlib
import os
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from antiphon.api import FileError, Samples
from antiphon.api.backends.analysis import AnalysisResult, analyse_decoded
from antiphon.api.backends.files import AudioInfo, Decoder, open_ordinary, printable_path, reason_of_os_error as why
from antiphon.api.backends.runtime import shorten
from antiphon_library.records import FileEntry, FileState, SoundIdentity

DIGEST_BYTES = 20
MAX_REASON = 300
"""Maximum characters of the reason in a bad file's row: names may be thousands long."""


def digest_of(path: bytes) -> str:
    """The digest of a file's bytes. `OSError` if it cannot be read, or is a pipe or device, which might never end."""
    hashed = hashlib.blake2b(digest_size=DIGEST_BYTES)
    with open(path, "rb", buffering=0, opener=open_ordinary) as file:
        while piece := file.read(1 << 20):
            hashed.update(piece)
    return hashed.hexdigest()


class SoundDigest:
    """Identity of a sound, computed from its decoded blocks. `info`: the file's metadata."""

    def __init__(self, info: AudioInfo) -> None:
        self._info, self._frames = info, 0
        self._hashed = hashlib.blake2b(f"{info.rate} {info.channels} ".encode(), digest_size=DIGEST_BYTES)

    def take(self, block: Samples) -> None:
        """Processes the next block, float32 `[channels, n]`."""
        self._frames += block.shape[1]
        self._hashed.update(np.ascontiguousarray(block.T).data)

    def identity(self) -> SoundIdentity | None:
        """Digest of all blocks; None without any sound."""
        info = self._info
        if self._frames == 0:
            return None
        return SoundIdentity(self._hashed.hexdigest(), self._frames / info.rate, info.rate, info.channels)


def read_entry(path: bytes, state: FileState, digest: str) -> FileEntry:
    """Row of a file, decoded completely, block by block; of a bad file with the reason."""
    try:
        with Decoder(Path(os.fsdecode(path))) as decoder:
            whole = SoundDigest(decoder.info)
            for block in decoder.blocks():
                whole.take(block)
    except FileError as error:
        return FileEntry(path, state, digest, None, problem=shorten(str(error), MAX_REASON))
    sound = whole.identity()
    if sound is None:
        return FileEntry(path, state, digest, None, problem=f"{printable_path(os.fsdecode(path))} holds no sound")
    return FileEntry(path, state, digest, sound, dict(decoder.info.tags))


def unreadable(path: bytes, state: FileState, error: OSError) -> FileEntry:
    """Row of a file that the operating system cannot open."""
    reason = f"cannot read {shorten(printable_path(os.fsdecode(path)), 120)}: {why(error)}"
    return FileEntry(path, state, "", None, problem=reason)


def identify_and_analyse(
    path: bytes, names: Collection[str], beats: int = 0
) -> tuple[SoundIdentity, Mapping[str, str], dict[str, AnalysisResult]]:
    """Catalogue content of a file: the sound's identity, the file's tags, and results of analyses by name.

    `beats`: how many the sound holds, 0 where that is not known. Raises `FileError`: the file cannot be read, or holds
    no sound.
    """
    with Decoder(Path(os.fsdecode(path))) as decoder:
        whole = SoundDigest(decoder.info)
        results = analyse_decoded(decoder, names, also=whole.take, beats=beats)
        sound = whole.identity()
        if sound is None:
            raise FileError(f"{decoder.name} holds no sound")
        return sound, dict(decoder.info.tags), results
