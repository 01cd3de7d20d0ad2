"""FFmpeg as programs of the system: `ffprobe` describes a file, `ffmpeg` decodes and encodes its sound.

A file is passed by its descriptor, with its length at opening, and its container by name. So nothing that the file
names is opened; playlists are not among the containers.
"""

import contextlib
import errno
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from antiphon.files.containers.layout import layout
from antiphon.files.containers.pieces import open_file
from antiphon.files.containers.tags import ESTIMATED_TAGS
from antiphon.files.sound_finish import VideoPicture
from antiphon.kernel.contract.block import Samples
from antiphon.kernel.errors import FileError
from antiphon.kernel.runtime.notices import Notice
from antiphon.kernel.runtime.paths import os_error_text
from antiphon.kernel.runtime.processes.children import ChildLane

if sys.platform == "linux":
    import resource

import numpy as np
from numpy.typing import NDArray

from antiphon.files.containers.chunks import check_form
from antiphon.files.containers.layout import states_length
from antiphon.files.containers.pieces import Refused
from antiphon.files.containers.tags import worded
from antiphon.kernel.runtime.extras import install_command
from antiphon.kernel.runtime.platform import end_before_exec
from antiphon.kernel.runtime.processes.children import Child, spawn

PROCESSOR_SECONDS, SHARE = 3.0, 1.0
"""Limit in seconds of processor time without sound, and per second of sound."""
PIECE = 1 << 17
"""Bytes per read."""
MAX_SAID, MAX_REPORT = 1 << 14, 1 << 24
"""Maximum bytes of complaints that are kept, and of a report on a file."""
WRITING_MEMORY = 2 << 30
"""Bytes of address space of a process that encodes, and reads the picture of a third party's file."""
_QUIET = ("-hide_banner", "-nostdin", "-v", "error")
_GUESSED = "Estimating duration from bitrate"
"""FFmpeg's warning for a length that the file does not state: quiet sound has fewer bits, so it may be far off."""
_PACKAGERS = {
    "apt-get": "sudo apt-get install",
    "dnf": "sudo dnf install",
    "pacman": "sudo pacman -S",
    "zypper": "sudo zypper install",
    "apk": "sudo apk add",
}
"""Commands that install a package on Linux, by package manager."""


@dataclass(frozen=True, slots=True)
class CarrierInfo:
    """Properties of the sound in a container file.

    `frames`: as declared, None if unknown. `codec`: FFmpeg's name. `begins`: start of the sound within the file, in
    seconds. `picture`: whether it holds a video. `notices`: of what it holds besides that sound.
    """

    rate: int
    channels: int
    frames: int | None
    codec: str
    tags: Mapping[str, str]
    begins: float = 0.0
    picture: bool = False
    notices: tuple[Notice, ...] = ()


def program(name: str) -> str:
    """Path of ffmpeg or ffprobe; empty where it is not installed."""
    return shutil.which(name) or ""


def lacking(ending: str, *, package: bool = True) -> str:
    """The sentence about a container for which nothing is installed that reads it or, without `package`, writes it."""
    needs = f"ffmpeg {'reads' if package else 'writes'} {ending}, and it is not installed; `{_install_ffmpeg()}`"
    if not package:
        return f"{needs} installs it, or name a .flac or .wav"
    return f"{needs} installs it; or {install_command('av')}; or save it as wav"


def _install_ffmpeg() -> str:
    """The command that installs ffmpeg on this system."""
    if sys.platform in ("darwin", "win32"):
        return f"{'brew' if sys.platform == 'darwin' else 'winget'} install ffmpeg"
    return f"{next((_PACKAGERS[name] for name in _PACKAGERS if shutil.which(name)), _PACKAGERS['apt-get'])} ffmpeg"


def allow_processor_time(process: int, seconds: float) -> None:
    """Limits the processor time of a child process, in whole seconds, as of its start; on Linux alone."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # it has ended
            most = resource.prlimit(process, resource.RLIMIT_CPU)[1]
            wanted = int(seconds) + 1
            soft = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
            resource.prlimit(process, resource.RLIMIT_CPU, (soft, most))


def limit_address_space(process: int, most: int) -> None:
    """Limits the address space of a child process, in bytes; on Linux alone."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, ValueError):  # it has ended, or has a lower limit
            resource.prlimit(process, resource.RLIMIT_AS, (most, most))


def source(fd: int, demuxer: str, length: int | None = None) -> list[str]:
    """Arguments that name an open file as the input, up to its length."""
    size = os.fstat(fd).st_size if length is None else length
    place = f"subfile,,start,0,end,{size},,:/dev/fd/{fd}"
    return ["-protocol_whitelist", "subfile,file", "-f", demuxer, "-i", place]


def start(arguments: Sequence[str], lane: ChildLane) -> Child:
    """Starts one of the programs, which ends when this process ends."""
    return spawn(arguments, lane=lane, apart=False, before=end_before_exec)


def probe(fd: int, demuxer: str) -> CarrierInfo:
    """Properties of a file's sound, by ffprobe. Raises `Refused`: it holds no sound, or is broken."""
    entries = (
        "stream=index,codec_type,codec_name,codec_tag_string,sample_rate,channels,duration_ts,duration,time_base:"
        "stream_disposition=attached_pic:stream_tags:format=start_time,duration:format_tags:chapter=id"
    )
    said, guessed = _report(fd, demuxer, "-show_entries", entries)
    streams = said.get("streams", [])
    sounds = [stream for stream in streams if stream.get("codec_type") == "audio"]
    if not sounds:
        raise Refused("there is no sound in it")
    sound, whole = sounds[0], said.get("format", {})
    rate, channels = int(sound.get("sample_rate", 0)), int(sound.get("channels", 0))
    if not rate or not channels:
        kind = sound.get("codec_name", "a kind that ffmpeg does not know")
        raise Refused(f"it is broken, fetch or make it again (its sound is {kind}, of which nothing is found)")
    check_form(channels, rate)
    picture = any(
        stream.get("codec_type") == "video" and not stream.get("disposition", {}).get("attached_pic")
        for stream in streams
    )
    tags: dict[str, str] = {}
    for found in (sound.get("tags", {}), whole.get("tags", {})):
        tags |= worded((name, str(text)) for name, text in found.items())
    frames = None if guessed else _frames(sound, rate)
    if frames is None and not guessed and len(streams) == 1 and "duration" in whole:
        frames = round(float(whole["duration"]) * rate)
    begins = _begins(fd, demuxer, float(whole.get("start_time", 0.0))) if picture else 0.0
    kinds = [
        "cover" if stream.get("disposition", {}).get("attached_pic") else str(stream.get("codec_type", ""))
        for stream in streams
        if stream is not sound and stream.get("codec_tag_string") != "text"  # the chapters of QuickTime once more
    ]
    notices = carrier_notices(kinds, len(said.get("chapters", ())))
    return CarrierInfo(rate, channels, frames, str(sound.get("codec_name", "")), tags, begins, picture, notices)


def kinds(fd: int, demuxer: str) -> list[str]:
    """FFmpeg's name for the kind of each stream of a file. Raises `Refused` if the file is broken."""
    streams = _report(fd, demuxer, "-show_entries", "stream=codec_type")[0].get("streams", [])
    return [str(stream.get("codec_type", "")) for stream in streams]


def _frames(sound: Mapping[str, Any], rate: int) -> int | None:
    if "duration_ts" not in sound:
        return None
    over, under = (int(part) for part in sound["time_base"].split("/"))
    return round(int(sound["duration_ts"]) * over * rate / under)


def _begins(fd: int, demuxer: str, first: float) -> float:
    """Seconds from the beginning of a file to its first sample, after the encoder's padding.

    A packet of padding alone gives no frame, so several packets are read.
    """
    asked = ("-select_streams", "a:0", "-show_entries", "frame=pts_time", "-read_intervals", "%+#9")
    said, _ = _report(fd, demuxer, *asked)
    times = [frame["pts_time"] for frame in said.get("frames", []) if "pts_time" in frame]
    return float(times[0]) - first if times else 0.0


def _report(fd: int, demuxer: str, *asked: str) -> tuple[dict[str, Any], bool]:
    """Report of ffprobe, and whether it guessed the length."""
    words = [program("ffprobe"), "-hide_banner", "-v", "warning", "-of", "json", *asked, *source(fd, demuxer)]
    reading = _Reading(start(words, _lane(fd)))
    with reading:
        data = bytearray()
        while piece := reading.read(PIECE):
            data += piece
            if len(data) > MAX_REPORT:
                raise Refused("it says too much of itself; it is broken or made to harm")
        reading.check()
    found = json.loads(data or b"{}")
    return found if isinstance(found, dict) else {}, _GUESSED.encode() in reading.said or not states_length(fd, demuxer)


def _lane(fd: int) -> ChildLane:
    return ChildLane(output=subprocess.PIPE, errors=subprocess.PIPE, fds=(fd,))


STREAMS = {"audio": "sound track", "video": "picture", "subtitle": "subtitle track", "attachment": "attachment"}
"""What a container holds besides its sound, by FFmpeg's kinds of streams; of other kinds it is a data track."""
CHAPTERS = "chapter"


def carrier_notices(kinds: Sequence[str], chapters: int) -> tuple[Notice, ...]:
    """Notices of the streams of a file besides its sound, "cover" for a picture of its cover, and of its chapters."""
    counts = Counter("cover picture" if kind == "cover" else STREAMS.get(kind, "data track") for kind in kinds)
    counts[CHAPTERS] = chapters
    return tuple(Notice(what, count) for what, count in counts.items() if count)


class _Reading:
    """The output of one of the programs, and its complaints."""

    def __init__(self, process: Child) -> None:
        self._process, self.said = process, b""  # what it complained of, `MAX_SAID` bytes of it
        allow_processor_time(process.pid, PROCESSOR_SECONDS)
        assert process.output is not None
        assert process.errors is not None
        self._output, self._complaints = process.output, process.errors
        self._ready = selectors.DefaultSelector()
        for pipe in (self._output, self._complaints):
            self._ready.register(pipe, selectors.EVENT_READ)

    def __enter__(self) -> "_Reading":
        return self

    def __exit__(self, *error: object) -> None:
        self._ready.close()
        self._process.close()

    @property
    def pid(self) -> int:
        """Process ID."""
        return self._process.pid

    def read(self, most: int) -> bytes:
        """Returns the next bytes of the output; none at its end."""
        while self._ready.get_map():
            for key, _ in self._ready.select():
                piece = os.read(key.fd, most)
                if not piece:
                    self._ready.unregister(key.fileobj)
                elif key.fileobj is self._output:
                    return piece
                elif len(self.said) < MAX_SAID:
                    self.said += piece
        return b""

    def check(self) -> None:
        """Waits for the program to end. Raises `Refused` if it failed."""
        code = self._process.wait() or 0
        if -code in (signal.SIGXCPU, signal.SIGKILL):
            raise Refused("decoding it takes far longer than its sound accounts for; it is broken or made to harm")
        if code:
            lines = self.said.decode("utf-8", "replace").strip().splitlines()
            named = [after for line in lines if (after := line.rpartition(":/dev/fd/")[2].partition(": ")[2])]
            reason = (named or lines or [f"exit {code}"])[-1]
            if "allocate memory" in reason:
                raise Refused("decoding it takes too much memory; it is broken or made to harm")
            raise Refused(f"it is broken, fetch or make it again ({reason[:200].rstrip('.')})")


class FfmpegFile:
    """The first sound of a file, decoded in order by ffmpeg.

    Attributes:
        info: What the file holds.
    """

    def __init__(self, fd: int, demuxer: str) -> None:
        self.info = probe(fd, demuxer)
        form = ["-ac", str(self.info.channels), "-ar", str(self.info.rate), "-c:a", "pcm_f32le", "-f", "f32le"]
        words = [program("ffmpeg"), *_QUIET, "-threads", "1", *source(fd, demuxer), "-map", "0:a:0", *form, "pipe:1"]
        self._reading = _Reading(start(words, _lane(fd)))
        self._rest, self._frames = b"", 0

    def close(self) -> None:
        """Ends the decoding."""
        self._reading.__exit__()

    def read(self) -> NDArray[np.float32]:
        """Returns the next frames, float32 `[frames, channels]`; none at the end. Raises `Refused` if broken."""
        size = 4 * self.info.channels
        while len(self._rest) < size:
            piece = self._reading.read(PIECE)
            if not piece:
                self._reading.check()
                return np.zeros((0, self.info.channels), np.float32)
            self._rest += piece
        whole = len(self._rest) // size * size
        block = np.frombuffer(self._rest[:whole], "<f4").reshape(-1, self.info.channels)
        self._rest = self._rest[whole:]
        self._frames += len(block)
        allow_processor_time(self._reading.pid, PROCESSOR_SECONDS + SHARE * self._frames / self.info.rate)
        return block.astype(np.float32, copy=False)


class AvFile:
    """The first sound of a file, decoded in order by the libraries of FFmpeg in the package av.

    Attributes:
        info: What the file holds.
    """

    def __init__(self, fd: int, demuxer: str, kind: str) -> None:
        try:
            import av
            import av.logging
        except ModuleNotFoundError:
            raise Refused(lacking(kind)) from None
        self._file = os.fdopen(os.dup(fd), "rb")
        av.logging.set_level(av.logging.WARNING)
        av.logging.set_skip_repeated(False)  # it would keep what it said of the file before
        with av.logging.Capture() as said:
            self._container = av.open(self._file, "r", format=demuxer, metadata_errors="replace")
        av.logging.set_level(None)
        guessed = any(_GUESSED in text for _, _, text in said) or not states_length(fd, demuxer)
        if not self._container.streams.audio:
            raise Refused("there is no sound in it")
        stream = self._container.streams.audio[0]
        codec = stream.codec_context
        check_form(codec.channels, codec.sample_rate)
        frames = None
        if not guessed and stream.duration is not None and stream.time_base is not None:
            frames = round(stream.duration * stream.time_base * codec.sample_rate)
        tags = worded((name, str(text)) for name, text in self._container.metadata.items())
        others = [
            "cover" if each.disposition & av.stream.Disposition.attached_pic else each.type
            for each in self._container.streams
            if each.index != stream.index
        ]
        notices = carrier_notices(others, len(self._container.chapters()))
        self.info = CarrierInfo(codec.sample_rate, codec.channels, frames, codec.name, tags, notices=notices)
        self._frames = iter(self._container.decode(stream))

    def close(self) -> None:
        """Ends the decoding."""
        self._container.close()
        self._file.close()

    def read(self) -> NDArray[np.float32]:
        """Returns the next frames, float32 `[frames, channels]`; none at the end. Raises `Refused` on a new format."""
        channels = self.info.channels
        frame = next(self._frames, None)
        if frame is None:
            return np.zeros((0, channels), np.float32)
        if frame.sample_rate != self.info.rate or len(frame.layout.channels) != channels:
            raise Refused("its rate or channels change within it")
        block: NDArray[Any] = frame.to_ndarray()
        if block.dtype.kind == "i":
            block = block / np.float32(-float(np.iinfo(block.dtype).min))
        return np.ascontiguousarray(block.T if frame.format.is_planar else block.reshape(-1, channels), np.float32)


def opened(fd: int, demuxer: str, kind: str) -> FfmpegFile | AvFile:
    """Opens a file's sound, by ffmpeg or else by av. Raises `Refused`: neither is installed, or the file is broken."""
    if program("ffmpeg") and program("ffprobe"):
        return FfmpegFile(fd, demuxer)
    return AvFile(fd, demuxer, kind)


# ---- Sound encoded by ffmpeg: as m4a, or beside the picture of a video

_CODECS = {"AAC": "aac", "OPUS": "libopus"}
_BIT_RATE, _SHARE = 96_000, 3
"""Bit rate per channel, at most, and bits per frame."""
_KINDS = {"video": "v", "audio": "a", "subtitle": "s", "attachment": "t"}
"""Letters of ffmpeg's options for the kinds of streams."""
_TAG_NAMES = {"tracknumber": "track", "bpm": "TBPM", "key": "initialkey"}


class CarrierWriter:
    """A file that ffmpeg writes; a context manager.

    Args:
        fd: Of the file, empty and open for writing.
        name: Its name in messages.
        form: Hz, channels, and libsndfile's name of the sample format.
        tags: Texts by name.
        picture: A video, whose other streams and chapters are copied; None for sound alone.
    """

    def __init__(
        self,
        fd: int,
        name: str,
        container: str,
        form: tuple[int, int, str],
        tags: Mapping[str, str],
        picture: VideoPicture | None,
    ) -> None:
        self._name, self._said = name, tempfile.TemporaryFile()  # noqa: SIM115 (closed by `__exit__`)
        rate, channels, subtype = form
        muxer = "ipod" if Path(name).suffix.lower() == ".m4a" else container.lower()
        begins = 0.0 if picture is None or muxer == "ipod" else picture.begins
        sound = ["-itsoffset", f"{begins:.6f}", "-f", "f32le", "-ar", str(rate), "-ac", str(channels), "-i", "pipe:0"]
        seen: list[str] = ["-map", "0:a", "-map_metadata", "-1"]
        self._video = -1
        if picture is not None and muxer != "ipod":
            self._video = open_file(picture.path)
            demuxer = layout(self._video).demuxer
            sound += source(self._video, demuxer)
            # what is no sound, text or picture, as a camera's position, has no place in most containers
            seen = ["-map", "1:v", "-map", "0:a", "-map", "1:a", "-map", "-1:a:0", "-map", "1:s?", "-map", "1:t?"]
            seen += ["-map_metadata", "1", "-map_chapters", "1"]
            counts = Counter[str]()
            for letter in (_KINDS.get(kind, "") for kind in kinds(self._video, demuxer)):
                if letter:  # the language of one stream named here, ffmpeg copies that of no other by itself
                    place = f"s:{letter}:{counts[letter]}"
                    counts[letter] += 1
                    seen += [f"-map_metadata:{place}", f"1:{place}"]
        said = [f"{_TAG_NAMES.get(word, word)}={text}" for word, text in tags.items()]
        rest = ["-c", "copy", "-c:a:0", _CODECS[subtype], "-b:a:0", str(min(_BIT_RATE, _SHARE * rate) * channels)]
        rest += [word for text in said for word in ("-metadata", text)]
        if container in ("MP4", "MOV") and any(tag in tags for tag in ESTIMATED_TAGS):
            rest += ["-movflags", "+use_metadata_tags"]
        rest += ["-fflags", "+bitexact", "-flags:a:0", "+bitexact", "-f", muxer, "-y", f"file:/dev/fd/{fd}"]
        words = [program("ffmpeg"), "-hide_banner", "-v", "error", *sound, *seen, *rest]
        fds = tuple(each for each in (fd, self._video) if each >= 0)
        self._process = start(words, ChildLane(subprocess.PIPE, errors=self._said.fileno(), fds=fds))
        limit_address_space(self._process.pid, WRITING_MEMORY)

    @staticmethod
    def check(name: str, suffix: str) -> None:
        """Raises FileError if ffmpeg is missing."""
        if not program("ffmpeg"):
            raise FileError(f"cannot write {name}: {lacking(suffix, package=False)}")

    def __enter__(self) -> "CarrierWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.close()
        self._said.close()
        if self._video >= 0:
            os.close(self._video)

    def write(self, chunk: Samples) -> None:
        """Encodes float32 `[frames, channels]`."""
        try:
            self._process.feed(chunk.astype("<f4", copy=False).tobytes())
        except BrokenPipeError:
            raise self._refusal() from None

    def end(self) -> None:
        """Completes the file. Raises FileError: ffmpeg could not write it."""
        self._process.finish()
        if self._process.wait():
            raise self._refusal()

    def _refusal(self) -> FileError:
        self._process.wait()
        self._said.seek(0)
        lines = self._said.read(MAX_SAID).decode("utf-8", "replace").strip().splitlines()
        said = " ".join((next(iter(lines), "") or "it ended early").split())
        said = said.partition("] ")[2] or said
        if (full := os.strerror(errno.ENOSPC)) in said:
            return FileError(f"cannot write {self._name}: {os_error_text(OSError(errno.ENOSPC, full))}")
        advice = "" if self._video < 0 else "; a video with such streams is kept by OUT.mkv"
        return FileError(f"cannot write {self._name}: ffmpeg refused it ({said[:200].rstrip('.')}){advice}")
