"""Formats of sound files: their suffixes, and the sample types, channels and rates of each."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from antiphon.kernel.errors import FileError
from antiphon.kernel.runtime.terms import path_text

MAX_CHANNELS = 64
MIN_RATE, MAX_RATE = 1000, 768000
"""Maximum channels of a readable sound file, and the range of its rate in Hz."""


@dataclass(frozen=True, slots=True)
class Format:
    """Encodings that can be written under a file suffix."""

    name: str  # libsndfile's word: "WAV"
    subtypes: tuple[str, ...]  # libsndfile's words, the one for 24 bits first where there is one: "PCM_24"
    channels: int = 64  # channels, at most
    rates: tuple[int, ...] = ()  # all rates allowed, in Hz; empty where any is

    def nearest(self, rate: int) -> int:
        """The allowed rate in Hz nearest to another, the higher of two equally near; `rate` where all are allowed."""
        return min(self.rates, key=lambda held: (abs(held - rate), -held)) if self.rates else rate


_PCM = ("PCM_24", "PCM_16", "PCM_32", "FLOAT", "DOUBLE")
_FLAC = Format("FLAC", ("PCM_24", "PCM_16", "PCM_S8"), 8)
_OGG = Format("OGG", ("VORBIS",), 64)
_MP3 = Format("MP3", ("MPEG_LAYER_III",), 2, (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000))
_AIFF = Format("AIFF", (*_PCM, "PCM_S8"))
_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
FORMATS: Mapping[str, Format] = {
    ".wav": Format("WAV", (*_PCM, "PCM_U8")),
    ".flac": _FLAC,
    ".ogg": _OGG,
    ".mp3": _MP3,
    ".opus": Format("OGG", ("OPUS",), 8, (8000, 12000, 16000, 24000, 48000)),
    ".aiff": _AIFF,
    ".aif": _AIFF,
    ".au": Format("AU", (*_PCM, "PCM_S8")),
    ".m4a": Format("MP4", ("AAC",), 8, _AAC_RATES),
}
"""The sound files that are read and written, by suffix: ".wav", ".flac", ".ogg", ".mp3", ".opus", ".aiff", …; ".m4a"
by FFmpeg."""
_OGG_ORDERS = {
    3: (0, 2, 1),
    5: (0, 2, 1, 3, 4),
    6: (0, 2, 1, 4, 5, 3),
    7: (0, 2, 1, 5, 6, 4, 3),
    8: (0, 2, 1, 6, 7, 4, 5, 3),
}
"""WAV position of each channel of an Ogg file, by the number of channels. FLAC, AIFF and decoded AAC have WAV's order
too (Vorbis I, 4.3.9; RFC 7845, 5.1.1.2): centre before right, and the LFE last.
"""
VIDEOS: Mapping[str, Format] = {
    ".mp4": Format("MP4", ("AAC",), 8, _AAC_RATES),
    ".m4v": Format("MP4", ("AAC",), 8, _AAC_RATES),
    ".mov": Format("MOV", ("AAC",), 8, _AAC_RATES),
    ".mkv": Format("MATROSKA", ("AAC",), 8, _AAC_RATES),
    ".webm": Format("WEBM", ("OPUS",), 8, (48000,)),
}
"""Video formats whose sound is read, and written with the picture kept, by suffix."""
CARRIERS = (".m4a", *VIDEOS, ".m4b", ".mka", ".3gp", ".3g2", ".aac", ".ac3", ".eac3", ".amr", ".ape", ".avi", ".dff")
CARRIERS += (".dsf", ".dts", ".flv", ".m2ts", ".mlp", ".mpc", ".mpg", ".mpeg", ".mts", ".thd", ".tta", ".wma")
CARRIERS += (".wmv", ".wv")
"""Suffixes of files that FFmpeg reads, by the program `ffmpeg` or by the extra `containers`."""
READ_SUFFIXES = (*FORMATS, ".w64", ".caf", ".oga", ".mp2", *CARRIERS[1:])
"""Suffixes of readable sound files."""
RECORDING_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
"""Suffixes of formats that can be written while the length is unknown, for recordings."""


def channel_order(name: str, channels: int) -> list[int]:
    """WAV position of each channel of a file; empty where the order is WAV's. `name`: libsndfile's, such as "OGG"."""
    return list(_OGG_ORDERS.get(channels, ())) if name == "OGG" else []


SHOWN_SUFFIXES = ".wav, .flac, .ogg, .mp3, .opus, .aiff, .au or .m4a"


def format_of(path: str | os.PathLike[str]) -> Format:
    """File format of a suffix. Raises `FileError`, with the allowed suffixes, for any other."""
    suffix = Path(path).suffix.lower()
    piped = os.fspath(path) == "/dev/stdout"
    file_format = FORMATS[".wav"] if piped else FORMATS.get(suffix) or VIDEOS.get(suffix)
    if file_format is None:
        raise FileError(f"cannot write {path_text(path)}: its name must end in {SHOWN_SUFFIXES}")
    return file_format
