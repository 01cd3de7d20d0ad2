"""The catalogue of sound files, and which of them a sound comes from. Off the block path, as in workers."""

from __future__ import annotations

from antiphon.library.catalogue import Catalogue
from antiphon.library.identifying import IdentifiedFile, identified
from antiphon.library.records import FileEntry, FileState, SoundIdentity
from antiphon.library.shards import ShardSet
from antiphon.library.shards import present as present_index
from antiphon.library.shards import updated as updated_index

__all__ = [
    "Catalogue",
    "FileEntry",
    "FileState",
    "IdentifiedFile",
    "ShardSet",
    "SoundIdentity",
    "identified",
    "present_index",
    "updated_index",
]
