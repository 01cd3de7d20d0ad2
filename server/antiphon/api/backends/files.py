"""Sound files, MIDI files, and the performer's folders. Off the block path: in `prepare`, in jobs, in evaluations."""

from typing import TYPE_CHECKING

import antiphon.api._former as _former
import antiphon.kernel.runtime.importing as _importing

if TYPE_CHECKING:
    from antiphon.files.audiofile import read as read_sound, stream as stream_sound
    from antiphon.files.audiowrite import AudioWriter
    from antiphon.files.decode import AudioInfo, Decoder
    from antiphon.files.own_files import (
        folder_in_library,
        hold_lock,
        lock as lock_file,
        size_of as file_size,
    )
    from antiphon.files.scores.midi_song import MidiNote, MidiSong, MidiTrack, Times as MidiTimes
    from antiphon.files.scores.midifile import (
        SUFFIXES as MIDI_SUFFIXES,
        conductor,
        melody_of,
        open_midi,
        read as read_midi,
        write as write_midi,
    )
    from antiphon.files.scores.musicxml import SUFFIXES as MUSICXML_SUFFIXES, read as read_musicxml
    from antiphon.files.sound_picture import png_bytes
    from antiphon.files.temporary import temporary_folder
    from antiphon.kernel.runtime.notices import notice, reading_file
    from antiphon.kernel.runtime.paths import (
        PRIVATE_FOLDER,
        TEMPORARY as TEMPORARY_NAME,
        cache as cache_folder,
        config as config_folder,
        data as data_folder,
        library as library_folder,
        make_folder,
        os_error_text as reason_of_os_error,
        patches as patches_folder,
        path_inside,
        read_ordinary,
        temporary_beside,
        write_atomic,
    )
    from antiphon.kernel.runtime.resources import folder as built_in_folder
    from antiphon.kernel.runtime.sound_formats import FORMATS as SOUND_FORMATS, READ_SUFFIXES, format_of
    from antiphon.kernel.runtime.terms import path_text as printable_path
    from antiphon.kernel.runtime.toml_location import read_toml
    from antiphon.kernel.runtime.typed import Misfit, convert as convert_fields
    from antiphon.offline.note_file import CHORD_SUFFIXES, chord_text

__getattr__, __dir__ = _importing.import_late(__name__, _former.refuse(__name__))
