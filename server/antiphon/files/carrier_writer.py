"""Sound encoded by ffmpeg: as m4a, or beside the picture of a video."""

import errno
import os
import subprocess
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from antiphon.files.containers.layout import layout
from antiphon.files.containers.mp4_tags import add_tags, freeform
from antiphon.files.containers.pieces import open_file
from antiphon.files.containers.speakers import layout_of_mask
from antiphon.files.ffmpeg import MAX_SAID, STREAMS, lacking, limit_address_space, program, report, source, start
from antiphon.files.sound_finish import CHAPTERS, VideoPicture
from antiphon.kernel.contract.block import Samples
from antiphon.kernel.errors import FileError
from antiphon.kernel.runtime.paths import os_error_text
from antiphon.kernel.runtime.processes.children import ChildLane

WRITING_MEMORY = 2 << 30
"""Bytes of address space of a process that encodes, and reads the picture of a third party's file."""

_CODECS = {"AAC": "aac", "OPUS": "libopus"}
_BIT_RATE, _SHARE = 96_000, 3
"""Bit rate per channel, at most, and bits per frame."""
_KINDS = {"video": "v", "audio": "a", "subtitle": "s", "attachment": "t"}
"""Letters of ffmpeg's options for the kinds of streams."""
_TEXTS = ("subrip", "srt", "ass", "ssa", "webvtt", "mov_text", "text")
"""Codecs of subtitles that are text, which are converted to one that the container holds."""
_SUBTITLES = {
    "MP4": ("mov_text", "dvd_subtitle"),
    "MOV": ("mov_text",),
    "MATROSKA": ("srt", "subrip", "ass", "ssa", "webvtt", "hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle"),
    "WEBM": ("webvtt",),
}
"""Codecs of subtitles that a container holds; the first is what others are converted to."""
_TAG_NAMES = {"tracknumber": "track", "bpm": "TBPM", "key": "initialkey"}
_MP4_NAMES = {**_TAG_NAMES, "bpm": "tmpo"}


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """Streams of a file that are copied or converted beside its new sound.

    Attributes:
        words: Options of ffmpeg that choose them, as streams of input 1.
        carried: What they are, by `Notice.what`, one each.
        said: Conversions in words.
    """

    words: tuple[str, ...]
    carried: tuple[str, ...]
    said: tuple[str, ...]


def plan_streams(streams: Sequence[Mapping[str, Any]], container: str) -> StreamPlan:
    """Chooses what a container takes of a video: all streams but its first sound, and those of unknown kinds."""
    words, after, carried, said, counts = ["-map", "0:a"], list[str](), list[str](), list[str](), Counter[str](a=1)
    pictures, sounds = list[str](), 0
    for index, stream in enumerate(streams):
        kind, codec = str(stream.get("codec_type", "")), str(stream.get("codec_name", ""))
        letter = _KINDS.get(kind, "")
        sounds += kind == "audio"
        if not letter or (kind == "audio" and sounds == 1):
            continue
        if codec in ("", "none", "unknown") or (kind == "attachment" and container != "MATROSKA"):
            continue
        encoder = "copy"
        if kind == "subtitle" and codec not in _SUBTITLES[container]:
            if codec not in _TEXTS:
                continue
            encoder = _SUBTITLES[container][0]
            said.append(f"subtitles of {codec} as {encoder}")
        # the language of one stream named here, ffmpeg copies that of no other by itself
        place = f"{letter}:{counts[letter]}"
        counts[letter] += 1
        (pictures if kind == "video" else words).extend(("-map", f"1:{index}"))
        after += [f"-c:{place}", encoder, f"-map_metadata:s:{place}", f"1:s:{index}"]
        cover = stream.get("disposition", {}).get("attached_pic")
        carried.append("cover picture" if cover else STREAMS[kind])
    sound = next(str(n) for n, stream in enumerate(streams) if stream.get("codec_type") == "audio")
    after += ["-map_metadata:s:a:0", f"1:s:{sound}"]
    return StreamPlan((*pictures, *words, *after), tuple(carried), tuple(dict.fromkeys(said)))


class CarrierWriter:
    """A file that ffmpeg writes; a context manager.

    Args:
        fd: Of the file, empty and open for writing.
        name: Its name in messages.
        form: Hz, channels, and libsndfile's name of the sample format.
        tags: Texts by name.
        mask: The channels' speakers, as of WAVE_FORMAT_EXTENSIBLE; 0 for the usual ones.
        picture: A file whose chapters are copied and, of a video and into one, its other streams; None for sound alone.

    Attributes:
        carried: What is copied, by `Notice.what`, one each.
        said: Conversions in words.
    """

    def __init__(
        self,
        fd: int,
        name: str,
        container: str,
        form: tuple[int, int, str],
        tags: Mapping[str, str],
        picture: VideoPicture | None,
        mask: int = 0,
    ) -> None:
        self._name, self._said = name, tempfile.TemporaryFile()  # noqa: SIM115 (closed by `__exit__`)
        self._fd, self._tags = fd, tags if container == "MP4" else {}
        rate, channels, subtype = form
        muxer = "ipod" if Path(name).suffix.lower() == ".m4a" else container.lower()
        video = picture is not None and picture.video and muxer != "ipod"
        begins = picture.begins if picture is not None and video else 0.0
        # Opus knows one layout for each number of channels, in whose order ffmpeg puts them
        named = layout_of_mask(mask) if _CODECS[subtype] != "libopus" else ""
        speakers = ["-channel_layout", named] if named else ["-ac", str(channels)]
        sound = ["-itsoffset", f"{begins:.6f}", "-f", "f32le", "-ar", str(rate), *speakers, "-i", "pipe:0"]
        seen: list[str] = ["-map", "0:a", "-map_metadata:g", "-1"]
        self.carried, self.said = tuple[str, ...](), tuple[str, ...]()
        self._video, aside = -1, list[str]()
        if picture is not None:
            self._video = open_file(picture.path)
            demuxer = layout(self._video).demuxer
            sound += source(self._video, demuxer)
            asked = "stream=codec_type,codec_name:stream_disposition=attached_pic:chapter=id"
            found = report(self._video, demuxer, "-show_entries", asked)[0]
            if video:
                plan = plan_streams(found["streams"], container)
                self.carried, self.said = plan.carried, plan.said
                seen = [*plan.words, "-map_metadata", "1"]
                # what is no stream of an output, ffmpeg leaves out where it looks for the beginning of a broadcast
                aside = ["-map", "1:a:0", "-c", "copy", "-f", "null", "-"]
            seen += ["-map_chapters", "1"]
            self.carried += (CHAPTERS,) * len(found.get("chapters", ()))
        names = _MP4_NAMES if container == "MP4" else _TAG_NAMES
        tagged = {names.get(word, word): f"{float(text):.0f}" if word == "bpm" else text for word, text in tags.items()}
        rest = ["-c:v", "copy", "-c:a", "copy", "-c:t", "copy", "-c:a:0", _CODECS[subtype]]
        rest += ["-b:a:0", str(min(_BIT_RATE, _SHARE * rate) * channels)]
        rest += [word for key, text in tagged.items() for word in ("-metadata", f"{key}={text}")]
        rest += ["-fflags", "+bitexact", "-flags:a:0", "+bitexact", "-f", muxer, "-y", f"file:/dev/fd/{fd}"]
        words = [program("ffmpeg"), "-hide_banner", "-v", "error", *sound, *seen, *rest, *aside]
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
        if "key" in self._tags:
            add_tags(self._fd, freeform("initialkey", self._tags["key"]))

    def _refusal(self) -> FileError:
        self._process.wait()
        self._said.seek(0)
        lines = self._said.read(MAX_SAID).decode("utf-8", "replace").strip().splitlines()
        said = " ".join((next(iter(lines), "") or "it ended early").split())
        said = said.partition("] ")[2] or said
        if (full := os.strerror(errno.ENOSPC)) in said:
            return FileError(f"cannot write {self._name}: {os_error_text(OSError(errno.ENOSPC, full))}")
        mkv = self._video < 0 or self._name.lower().endswith((".mkv", ".m4a"))
        advice = "" if mkv else "; a video with such streams is kept by OUT.mkv"
        return FileError(f"cannot write {self._name}: ffmpeg refused it ({said[:200].rstrip('.')}){advice}")
