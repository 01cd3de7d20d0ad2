"""The catalogue of sound files, and which of them a sound comes from. Off the block path, as in workers."""

from __future__ import annotations

from antiphon.library.catalogue import Catalogue
from antiphon.library.fitting import compatibility as fit_compatibility, transpose_fit
from antiphon.library.identification.identifying import IdentifiedFile, identify_files
from antiphon.library.identification.shards import ShardSet, present as present_index, update_shards as updated_index
from antiphon.library.records import FileEntry, FileState, FolderSound, SoundIdentity
from antiphon.library.scanning import add as add_files
