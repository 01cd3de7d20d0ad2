"""Sound of a container file, decoded by ffmpeg or by the package av: in time, whole, or refused."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.files.containers.chunks import check_form
from antiphon.files.containers.layout import states_length
from antiphon.files.containers.mp4_tags import read_mp4_tags
from antiphon.files.containers.pieces import Refused
from antiphon.files.containers.speakers import mask_of_layout
from antiphon.files.containers.tags import common_tags
from antiphon.files.ffmpeg import (
    GUESSED,
    MAX_SAID,
    PROCESSOR_SECONDS,
    SHARE,
    CarrierInfo,
    Reading,
    allow_processor_time,
    carrier_notices,
    exact_frames,
    lacking,
    probe,
    program,
    reading_lane,
    refusal_of,
    report,
    source,
    start,
)
from antiphon.files.frame_times import FrameTimes
from antiphon.kernel.runtime.notices import Notice

PIECE = 1 << 17
"""Bytes per read."""
BLOCK_FRAMES = 4096
"""Frames that a read returns at least, but for the last."""
SLACK_FRAMES, SLACK = 4096, 0.01
"""Frames by which a file may miss its length, besides this share of it; also the most that its last packet pads."""
MAX_GAP = 6 * 3600
"""Seconds of a gap in the time stamps beyond which they are wrong."""
MAX_COMPLAINTS = 100
"""Maximum different complaints that are kept."""
_TIMED = ("matroska", "mov", "mpegts", "mpeg", "flv", "asf", "ogg")
"""Containers with time stamps; of others FFmpeg counts bytes."""
_RESTARTS = ("mpegts", "mpeg")
_FRAME = re.compile(rb"\] n: *\d+ pts: *(\S+) .* channels: *(\d+) .* rate: *(\d+) nb_samples: *(\d+)")
"""A line of the filter ashowinfo."""
_LEVEL = re.compile(rb"(?:\[[^]]* @ 0x[0-9a-f]+\] )*\[(\w+)\] (.*)")
_FAULTS = re.compile(rb"(?i)error while decoding|decoding error|error submitting packet|error during demuxing")
Decoded = NDArray[np.float32]


class CarrierFile(ABC):
    """The first sound of a file, decoded in order, with silence in the gaps of its time stamps.

    What its decoder fails at is refused where sound follows, and left out at the ends, where streams are cut.

    Attributes:
        info: What the file holds.
    """

    def __init__(self, info: CarrierInfo, demuxer: str) -> None:
        self.info = info
        self._times = FrameTimes(info.rate, restarts=demuxer in _RESTARTS)
        self._blocks, self._ended = deque[Decoded](), False  # of frames that have no place yet
        self._silent = 0  # frames of silence that come next
        self._after: Decoded | None = None  # the block behind them
        self._timed = demuxer in _TIMED
        self._decoded, self._fault, self._torn = 0, "", 0
        self._complaints = Counter[str]()
        # an MPEG-4 file states the length of its sound, and its last packet is padded
        self._room = info.frames if demuxer == "mov" else None
        self._padding: list[Decoded] = []

    @abstractmethod
    def close(self) -> None:
        """Ends the decoding."""

    @abstractmethod
    def _next(self) -> tuple[int | None, Decoded] | None:
        """The next frame and its time stamp in frames, None at the end. It calls `_fail` and `_complain`."""

    @abstractmethod
    def _last_time(self) -> float:
        """End of the last packet of any stream, in seconds from the beginning of the file."""

    @property
    def notices(self) -> list[Notice]:
        """What was mended so far."""
        torn = [Notice("torn frame", self._torn, "left out", "mended")] * bool(self._torn)
        said = [Notice("decoder complaint", n, text, "mended") for text, n in self._complaints.items()]
        return [*self._times.notices, *torn, *said]

    def read(self) -> Decoded:
        """Returns the next frames, float32 `[frames, channels]`; none at the end.

        Raises `Refused`: the file is broken or cut short, or changes its rate or channels.
        """
        while len(block := self._placed()):
            if len(block := self._trim_padding(block)):
                return block
        return block

    def _placed(self) -> Decoded:
        """The next frames in their places, at least `BLOCK_FRAMES` before the end."""
        parts, count, channels = list[Decoded](), 0, self.info.channels
        while count < BLOCK_FRAMES:
            if self._silent or self._after is not None:
                quiet = min(self._silent, BLOCK_FRAMES)
                block = np.zeros((quiet, channels), np.float32) if quiet else self._after
                self._silent, self._after = self._silent - quiet, self._after if quiet else None
                assert block is not None
                parts.append(block)
                count += len(block)
            elif (placed := self._times.place(last=self._ended)) is not None:
                if placed.silence > MAX_GAP * self.info.rate:
                    raise refusal_of(f"its time stamps leave out {placed.silence / self.info.rate / 3600:.1f} hours")
                self._silent, self._after = placed.silence, self._blocks.popleft()[placed.skipped :]
            elif self._ended:
                break
            else:
                self._take()
        return np.concatenate(parts) if parts else np.zeros((0, channels), np.float32)

    def _trim_padding(self, block: Decoded) -> Decoded:
        """The frames within the length that the file states; all, where far more sound follows."""
        if self._room is None:
            return block
        within, behind = block[: self._room], block[self._room :]
        self._room -= len(within)
        self._padding += [behind] * bool(len(behind))
        if sum(map(len, self._padding)) <= SLACK_FRAMES:
            return within
        self._room, parts = None, [within, *self._padding]
        self._padding = []
        return np.concatenate(parts)

    def _take(self) -> None:
        """Decodes a frame. Raises `Refused`: there is sound before and behind what could not be decoded."""
        frame = self._next()
        if frame is not None and self._fault and self._decoded:
            raise refusal_of(f"{self._fault} at {self._decoded / self.info.rate:.3f} s")
        self._torn, self._fault = self._torn + bool(self._fault), ""
        if frame is None:
            self._ended = True
            self._check_whole()
            return
        self._decoded += len(frame[1])
        self._times.put(frame[0] if self._timed else None, len(frame[1]))
        self._blocks.append(frame[1])

    def _fail(self, reason: str) -> None:
        """Notes that a packet could not be decoded."""
        self._fault = self._fault or reason

    def _complain(self, text: str) -> None:
        """Notes a complaint of the decoder."""
        if len(self._complaints) < MAX_COMPLAINTS:
            self._complaints[text] += 1

    def _check_form(self, rate: int, channels: int) -> None:
        if (rate, channels) != (self.info.rate, self.info.channels):
            raise Refused(
                f"its rate or channels change at {self._decoded / self.info.rate:.3f} s, from {self.info.rate} Hz of "
                f"{self.info.channels} to {rate} of {channels}: cut it there, or convert it to .wav with another "
                "program"
            )

    def _check_whole(self) -> None:
        """Raises `Refused` if all streams end before the end that the file states."""
        if (whole := self.info.seconds) is None:
            return
        there = self.info.begins + self._decoded / self.info.rate
        slack = SLACK_FRAMES / self.info.rate + SLACK * whole
        if there + slack < whole and (last := self._last_time()) + slack < whole:
            raise Refused(
                f"it promises {whole:.3f} s and ends after {max(there, last):.3f}: it was cut short, fetch or make it "
                "again"
            )


class FfmpegFile(CarrierFile):
    """A sound that the programs of FFmpeg decode."""

    def __init__(self, fd: int, demuxer: str) -> None:
        super().__init__(probe(fd, demuxer), demuxer)
        self._fd, self._demuxer = fd, demuxer
        # neither rate nor channels are asked for: with -ac ffmpeg would mix quad into the usual four speakers
        form = ["-c:a", "pcm_f32le", "-f", "f32le"]
        said = ["-hide_banner", "-nostdin", "-nostats", "-v", "repeat+level+info", "-threads", "1"]
        words = [*said, *source(fd, demuxer), "-map", "0:a:0", "-af", "ashowinfo", *form, "pipe:1"]
        self._reading = Reading(start([program("ffmpeg"), *words], reading_lane(fd)), self._hear)
        self._events = deque[tuple[int | None, int, int, int] | str]()  # time stamp, frames, rate, channels; or a fault
        self._framed = False
        self._data, self._place = b"", 0

    def close(self) -> None:
        """Ends the decoding."""
        self._reading.__exit__()

    def _hear(self, line: bytes) -> bool:
        """Takes a line of ffmpeg: one of each frame before its samples, its level before each complaint."""
        if frame := _FRAME.search(line):
            stamp, channels, rate, frames = frame.groups()
            at = int(stamp) if stamp.lstrip(b"-").isdigit() else None
            self._framed = True
            self._events.append((at, int(frames), int(rate), int(channels)))
            return True
        found = _LEVEL.match(line)
        if found is None or found[1] not in (b"error", b"fatal", b"panic"):
            return True
        text = " ".join(found[2].decode("utf-8", "replace").split())
        if _FAULTS.match(found[2]):
            self._events.append(text.rpartition(": ")[2])
        else:
            self._complain(text)
        self._reading.said = (self._reading.said + found[2] + b"\n")[-MAX_SAID:]
        return True

    def _next(self) -> tuple[int | None, Decoded] | None:
        while self._events or self._read() or self._events:
            event = self._events.popleft() if self._events else None
            if isinstance(event, str):
                self._fail(event)
            elif event is not None:
                at, frames, rate, channels = event
                self._check_form(rate, channels)
                return at, self._samples(frames)
            elif not self._framed:  # a version of ffmpeg that says nothing of its frames
                return None, self._samples((len(self._data) - self._place) // (4 * self.info.channels))
        self._reading.check()
        return None

    def _samples(self, frames: int) -> Decoded:
        """The next frames of the output; fewer at its end."""
        size = 4 * self.info.channels
        while len(self._data) - self._place < frames * size and self._read():
            pass
        count = min(frames, (len(self._data) - self._place) // size)
        block = np.frombuffer(self._data, "<f4", count * self.info.channels, self._place)
        self._place += count * size
        allow_processor_time(self._reading.pid, PROCESSOR_SECONDS + SHARE * self._decoded / self.info.rate)
        return block.reshape(-1, self.info.channels).astype(np.float32, copy=False)

    def _read(self) -> bool:
        """Reads more of the samples, and of what is said; False at the end."""
        piece = self._reading.read(PIECE)
        self._data, self._place = self._data[self._place :] + piece, 0
        return bool(piece)

    def _last_time(self) -> float:
        asked = "-show_entries", "packet=pts_time,duration_time", "-read_intervals"
        begin = self.info.first + SLACK_FRAMES / self.info.rate + (1.0 - SLACK) * (self.info.seconds or 0.0) - 1.0
        packets = report(self._fd, self._demuxer, *asked, f"{begin:.3f}%")[0].get("packets", [])
        ends = [float(one["pts_time"]) + float(one.get("duration_time", 0)) for one in packets if "pts_time" in one]
        return max(ends, default=0.0) - self.info.first


class AvFile(CarrierFile):
    """A sound that the libraries of FFmpeg in the package av decode."""

    def __init__(self, fd: int, demuxer: str, kind: str) -> None:
        try:
            import av
            import av.logging
        except ModuleNotFoundError:
            raise Refused(lacking(kind)) from None
        self._av = av
        self._file = os.fdopen(os.dup(fd), "rb")
        av.logging.set_level(av.logging.WARNING)
        av.logging.set_skip_repeated(False)  # it would keep what it said of the file before
        with av.logging.Capture() as said:
            self._container = av.open(self._file, "r", format=demuxer, metadata_errors="replace")
        guessed = any(GUESSED in text for _, _, text in said) or not states_length(fd, demuxer)
        if not self._container.streams.audio:
            raise Refused("there is no sound in it")
        self._stream = stream = self._container.streams.audio[0]
        codec = stream.codec_context
        check_form(codec.channels, codec.sample_rate)
        tags = dict(self._container.metadata)
        frames = None
        if not guessed and stream.duration is not None and stream.time_base is not None:
            frames = exact_frames(round(stream.duration * stream.time_base * codec.sample_rate), tags)
        others = [
            "cover" if each.disposition & av.stream.Disposition.attached_pic else each.type
            for each in self._container.streams
            if each.index != stream.index
        ]
        first, whole = (self._container.start_time or 0) / av.time_base, None
        if not guessed and frames is None and self._container.duration:
            whole = self._container.duration / av.time_base
        if whole is not None and not others:
            frames, whole = round(whole * codec.sample_rate), None
        notices = carrier_notices(others, len(self._container.chapters()))
        said_tags = common_tags((name, str(text)) for name, text in tags.items() if name != "tmpo")
        said_tags |= read_mp4_tags(fd) if demuxer == "mov" else {}
        form = codec.sample_rate, codec.channels, frames, codec.name
        more: dict[str, Any] = {"notices": notices, "seconds": whole, "first": first}
        more |= {"mask": mask_of_layout(codec.layout.name, codec.channels)}
        super().__init__(CarrierInfo(*form, said_tags, **more), demuxer)
        self._frames, self._last = self._decode_frames(), 0.0

    def close(self) -> None:
        """Ends the decoding."""
        self._av.logging.set_level(None)
        self._container.close()
        self._file.close()

    def _decode_frames(self) -> Iterator[Any]:
        for packet in self._container.demux():
            if packet.pts is not None and packet.time_base is not None:
                self._last = max(self._last, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            if packet.stream.index == self._stream.index:
                try:
                    frames = packet.decode()
                except self._av.FFmpegError as error:
                    self._fail(error.strerror or "unknown error")
                    continue
                yield from frames

    def _next(self) -> tuple[int | None, Decoded] | None:
        try:
            with self._av.logging.Capture() as said:
                frame = next(self._frames, None)
        except IndexError:  # within av, which knows the streams of the beginning alone
            raise refusal_of("a stream begins in the middle") from None
        for level, _, text in said:
            if level <= self._av.logging.ERROR:
                self._complain(" ".join(text.split()))
        if frame is None:
            return None
        channels = len(frame.layout.channels)
        self._check_form(frame.sample_rate, channels)
        block: NDArray[Any] = frame.to_ndarray()
        if block.dtype.kind == "i":
            block = block / np.float32(-float(np.iinfo(block.dtype).min))
        samples = np.ascontiguousarray(block.T if frame.format.is_planar else block.reshape(-1, channels), np.float32)
        stamp = None if frame.pts is None else round(frame.pts * frame.time_base * self.info.rate)
        return stamp, samples

    def _last_time(self) -> float:
        return self._last - self.info.first


def open_carrier(fd: int, demuxer: str, kind: str) -> CarrierFile:
    """Opens a file's sound, by ffmpeg or else by av. Raises `Refused`: neither is installed, or the file is broken."""
    if program("ffmpeg") and program("ffprobe"):
        return FfmpegFile(fd, demuxer)
    return AvFile(fd, demuxer, kind)
