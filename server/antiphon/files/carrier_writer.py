"""Sound encoded by ffmpeg: as m4a, or beside the picture of a video."""

import errno
import os
import subprocess
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from antiphon.files.containers.layout import layout
from antiphon.files.containers.pieces import open_file
from antiphon.files.containers.tags import ESTIMATED_TAGS
from antiphon.files.ffmpeg import MAX_SAID, kinds, lacking, limit_address_space, program, source, start
from antiphon.files.sound_finish import VideoPicture
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
