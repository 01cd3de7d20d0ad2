"""Sound files, MIDI files, and the performer's folders. Off the block path: in `prepare`, in jobs, in evaluations."""

from __future__ import annotations

from antiphon.io.audiofile import Sound
from antiphon.io.audiofile import read as read_sound
from antiphon.io.audiofile import stream as stream_sound
from antiphon.io.audiowrite import AudioWriter, format_of
from antiphon.io.decode import AudioInfo, Decoder, check_header
from antiphon.io.decode import path_text as printable_path
from antiphon.io.midi_song import DEFAULT_BPM, MidiControlChange, MidiNote, MidiSong, MidiTrack
from antiphon.io.midi_song import TICKS as MIDI_TICKS
from antiphon.io.midi_song import Times as MidiTimes
from antiphon.io.midifile import SUFFIXES as MIDI_SUFFIXES
from antiphon.io.midifile import open_midi
from antiphon.io.midifile import read as read_midi
from antiphon.io.midifile import write as write_midi
from antiphon.runtime.paths import HOME as HOME_VARIABLE
from antiphon.runtime.paths import cache as cache_folder
from antiphon.runtime.paths import config as config_folder
from antiphon.runtime.paths import folder_in_library, make_folder, write_atomic
from antiphon.runtime.paths import inside as path_inside
from antiphon.runtime.paths import library as library_folder
from antiphon.runtime.paths import why as reason_of_os_error
from antiphon.runtime.resources import folder as built_in_folder
from antiphon.runtime.sound_formats import FORMATS as SOUND_FORMATS
from antiphon.runtime.sound_formats import Format

__all__ = [
    "DEFAULT_BPM",
    "HOME_VARIABLE",
    "MIDI_SUFFIXES",
    "MIDI_TICKS",
    "SOUND_FORMATS",
    "AudioInfo",
    "AudioWriter",
    "Decoder",
    "Format",
    "MidiControlChange",
    "MidiNote",
    "MidiSong",
    "MidiTimes",
    "MidiTrack",
    "Sound",
    "built_in_folder",
    "cache_folder",
    "check_header",
    "config_folder",
    "folder_in_library",
    "format_of",
    "library_folder",
    "make_folder",
    "open_midi",
    "path_inside",
    "printable_path",
    "read_midi",
    "read_sound",
    "reason_of_os_error",
    "stream_sound",
    "write_atomic",
    "write_midi",
]
