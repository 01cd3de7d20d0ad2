"""FFmpeg as programs of the system: `ffprobe` describes a file, `ffmpeg` decodes and encodes its sound.

A file is passed by its descriptor, with its length at opening, and its container by name. So nothing that the file
names is opened; playlists are not among the containers.
"""

import contextlib
import json
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from antiphon.files.containers.chunks import check_form
from antiphon.files.containers.layout import states_length
from antiphon.files.containers.mp4_tags import read_mp4_tags
from antiphon.files.containers.pieces import Refused
from antiphon.files.containers.speakers import mask_of_layout
from antiphon.files.containers.tags import common_tags
from antiphon.files.sound_finish import BEFORE, CHAPTERS
from antiphon.kernel.runtime.extras import install_command
from antiphon.kernel.runtime.notices import Notice
from antiphon.kernel.runtime.platform import end_before_exec
from antiphon.kernel.runtime.processes.children import Child, ChildLane, spawn

if sys.platform == "linux":
    import resource

PROCESSOR_SECONDS, SHARE = 3.0, 1.0
"""Limit in seconds of processor time without sound, and per second of sound."""
PIECE = 1 << 17
"""Bytes per read."""
MAX_SAID, MAX_REPORT = 1 << 14, 1 << 24
"""Maximum bytes of complaints that are kept, and of a report on a file."""
GUESSED = "Estimating duration from bitrate"
"""FFmpeg's warning for a length that the file does not state: quiet sound has fewer bits, so it may be far off."""
_PACKAGERS = {
    "apt-get": "sudo apt-get install", "dnf": "sudo dnf install", "pacman": "sudo pacman -S",
    "zypper": "sudo zypper install", "apk": "sudo apk add",
}  # fmt: skip
"""Commands that install a package on Linux, by package manager."""


@dataclass(frozen=True, slots=True)
class CarrierInfo:
    """Properties of the sound in a container file.

    `frames`: as declared, None if unknown. `codec`: FFmpeg's name. `begins`: start of the sound within the file, in
    seconds. `picture`: whether it holds a video. `notices`: of what it holds besides that sound.
    `seconds`: length of all streams as declared, where that of the sound is not; None if unknown. `first`: time stamp
    of the beginning of the file, in seconds.
    """

    rate: int
    channels: int
    frames: int | None
    codec: str
    tags: Mapping[str, str]
    begins: float = 0.0
    picture: bool = False
    notices: tuple[Notice, ...] = ()
    seconds: float | None = None
    first: float = 0.0
    chapters: int = 0
    mask: int = 0


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
        "stream=index,codec_type,codec_name,codec_tag_string,sample_rate,channels,channel_layout,duration_ts,duration,time_base:"
        "stream_disposition=attached_pic:stream_tags:format=start_time,duration:format_tags:chapter=id"
    )
    said, guessed = report(fd, demuxer, "-show_entries", entries)
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
        tags |= common_tags((name, str(text)) for name, text in found.items() if name != "tmpo")
    tags |= read_mp4_tags(fd) if demuxer == "mov" else {}
    frames = None if guessed else _frames(sound, rate)
    frames = frames and exact_frames(frames, whole.get("tags", {}))
    stated = float(whole["duration"]) if "duration" in whole and not guessed and frames is None else None
    if stated is not None and len(streams) == 1:
        frames, stated = round(stated * rate), None
    first = float(whole.get("start_time", 0.0))
    begins = _begins(fd, demuxer, first) if picture else 0.0
    kinds = [
        "cover" if stream.get("disposition", {}).get("attached_pic") else str(stream.get("codec_type", ""))
        for stream in streams
        if stream is not sound and stream.get("codec_tag_string") != "text"  # the chapters of QuickTime once more
    ]
    chapters = len(said.get("chapters", ()))
    notices = carrier_notices(kinds, chapters)
    if begins > LATE:
        notices += (Notice(BEFORE, 0, f"{begins:.3f} s", "beside"),)
    form = rate, channels, frames, str(sound.get("codec_name", ""))
    mask = mask_of_layout(str(sound.get("channel_layout", "")), channels)
    return CarrierInfo(*form, tags, begins, picture, notices, stated, first, chapters, mask)


def _frames(sound: Mapping[str, Any], rate: int) -> int | None:
    if "duration_ts" not in sound:
        return None
    over, under = (int(part) for part in sound["time_base"].split("/"))
    return round(int(sound["duration_ts"]) * over * rate / under)


_GAPLESS = re.compile(r"\s*0+ ([0-9a-fA-F]{8}) ([0-9a-fA-F]{8}) ([0-9a-fA-F]{16})(?: |$)")
"""iTunes's note of padding before and behind the sound, and of its length, in frames."""


def exact_frames(frames: int, tags: Mapping[str, str]) -> int:
    """The length of a sound by iTunes's note, where the file's own length is with padding."""
    if found := _GAPLESS.match(tags.get("iTunSMPB", "")):
        before, behind, length = (int(part, 16) for part in found.groups())
        if 0 < length < frames <= length + before + behind:
            return length
    return frames


def _begins(fd: int, demuxer: str, first: float) -> float:
    """Seconds from the beginning of a file to its first sample, after the encoder's padding.

    A packet of padding alone gives no frame, so several packets are read.
    """
    asked = ("-select_streams", "a:0", "-show_entries", "frame=pts_time", "-read_intervals", "%+#9")
    said, _ = report(fd, demuxer, *asked)
    times = [frame["pts_time"] for frame in said.get("frames", []) if "pts_time" in frame]
    return float(times[0]) - first if times else 0.0


def report(fd: int, demuxer: str, *asked: str) -> tuple[dict[str, Any], bool]:
    """Report of ffprobe, and whether it guessed the length. Raises `Refused` if the file is broken."""
    words = [program("ffprobe"), "-hide_banner", "-v", "warning", "-of", "json", *asked, *source(fd, demuxer)]
    reading = Reading(start(words, reading_lane(fd)))
    with reading:
        data = bytearray()
        while piece := reading.read(PIECE):
            data += piece
            if len(data) > MAX_REPORT:
                raise Refused("it says too much of itself; it is broken or made to harm")
        reading.check()
    found = json.loads(data or b"{}")
    return found if isinstance(found, dict) else {}, GUESSED.encode() in reading.said or not states_length(fd, demuxer)


def reading_lane(fd: int) -> ChildLane:
    """Pipes of a program that reads an open file."""
    return ChildLane(output=subprocess.PIPE, errors=subprocess.PIPE, fds=(fd,))


STREAMS = {"audio": "sound track", "video": "picture", "subtitle": "subtitle track", "attachment": "attachment"}
"""What a container holds besides its sound, by FFmpeg's kinds of streams; of other kinds it is a data track."""
LATE = 0.05
"""Seconds before the sound of a video that are named where they are lost."""


def carrier_notices(kinds: Sequence[str], chapters: int) -> tuple[Notice, ...]:
    """Notices of the streams of a file besides its sound, "cover" for a picture of its cover, and of its chapters."""
    counts = Counter("cover picture" if kind == "cover" else STREAMS.get(kind, "data track") for kind in kinds)
    counts[CHAPTERS] = chapters
    sound = STREAMS["audio"]
    return tuple(
        Notice(what, count, manner="unused" if what == sound else "beside") for what, count in counts.items() if count
    )


class Reading:
    """The output of one of the programs, and what it says.

    `hear`: called with each line that the program says; False for one that is a complaint.
    """

    def __init__(self, process: Child, hear: Callable[[bytes], bool] = lambda line: False) -> None:
        self._process, self._hear, self._line = process, hear, b""
        self.said = b""  # what it complained of, `MAX_SAID` bytes of it
        allow_processor_time(process.pid, PROCESSOR_SECONDS)
        assert process.output is not None
        assert process.errors is not None
        self._output, self._complaints = process.output, process.errors
        self._ready = selectors.DefaultSelector()
        for pipe in (self._output, self._complaints):
            self._ready.register(pipe, selectors.EVENT_READ)

    def __enter__(self) -> "Reading":
        return self

    def __exit__(self, *error: object) -> None:
        self._ready.close()
        self._process.close()

    @property
    def pid(self) -> int:
        """Process ID."""
        return self._process.pid

    def read(self, most: int) -> bytes:
        """Returns the next bytes of the output, once all is heard that was said before them; none at its end."""
        data = b""
        while not data and self._ready.get_map():
            for key, _ in sorted(self._ready.select(), key=lambda one: one[0].fileobj is self._complaints):
                piece = os.read(key.fd, most)
                if not piece:
                    self._ready.unregister(key.fileobj)
                if key.fileobj is self._output:
                    data = piece
                else:
                    self._listen(piece)
        return data

    def _listen(self, piece: bytes) -> None:
        *lines, self._line = (self._line + piece).split(b"\n") if piece else (self._line, b"")
        for line in lines:
            if line and not self._hear(line) and len(self.said) < MAX_SAID:
                self.said += line + b"\n"

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
            raise refusal_of(reason)


def refusal_of(reason: str) -> Refused:
    """The refusal of a file that cannot be decoded."""
    return Refused(f"it is broken, fetch or make it again ({reason[:200].rstrip('.')})")
