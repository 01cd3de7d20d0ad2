"""A file's identity: a digest of its bytes, which is quick, and one of its samples, which tags do not change."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np

from antiphon.errors import FileError
from antiphon.io.decode import Decoder, shown
from antiphon.library.records import FileEntry, FileState, SoundIdentity
from antiphon.runtime.paths import why
from antiphon.runtime.shortening import shorten

DIGEST_BYTES = 20
LONGEST_REASON = 300
"""Characters of the reason in a bad file's row: names may be thousands long."""


def digest_of(path: bytes) -> str:
    """The digest of a file's bytes.

    Raises:
        OSError: It cannot be read.
    """
    hashed = hashlib.blake2b(digest_size=DIGEST_BYTES)
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(1 << 20):
            hashed.update(piece)
    return hashed.hexdigest()


def read_entry(path: bytes, state: FileState, digest: str) -> FileEntry:
    """Decodes a file from its beginning to its end, block by block.

    Args:
        path: The file.
        state: Its size and time.
        digest: Of its bytes.

    Returns:
        Its row; of a bad file one that says why.
    """
    hashed = hashlib.blake2b(digest_size=DIGEST_BYTES)
    frames = 0
    try:
        with Decoder(Path(os.fsdecode(path))) as decoder:
            info = decoder.info
            hashed.update(f"{info.rate} {info.channels} ".encode())
            for block in decoder.blocks():
                frames += block.shape[1]
                hashed.update(np.ascontiguousarray(block.T).data)
    except FileError as error:
        return FileEntry(path, state, digest, None, problem=shorten(str(error), LONGEST_REASON))
    if frames == 0:
        return FileEntry(path, state, digest, None, problem=f"{shown(os.fsdecode(path))} holds no sound")
    sound = SoundIdentity(hashed.hexdigest(), frames / info.rate, info.rate, info.channels)
    return FileEntry(path, state, digest, sound, dict(info.tags))


def unreadable(path: bytes, state: FileState, error: OSError) -> FileEntry:
    """The row of a file that the operating system does not give."""
    reason = f"cannot read {shorten(shown(os.fsdecode(path)), 120)}: {why(error)}"
    return FileEntry(path, state, "", None, problem=reason)
