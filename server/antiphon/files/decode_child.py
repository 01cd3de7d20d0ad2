"""The process that decodes, with the arguments SOCKET and IDLE, started and asked by `decode_process`.

A sound file may be hostile and its decoder is C, so it runs here: little memory, no files written, and processor time
in proportion to the sound it has decoded. One process decodes file after file; if it crashes, hangs or spins, the
parent ends it and refuses the file. It ends by itself after IDLE seconds without a request (0: never).

Requests, each with its answer:

- `stream`, with `rate` (0 keeps the file's) and the descriptor of a file or a pipe on SOCKET. A message with rate,
  channels, frames or null, format, subtype, tags and notices; messages of float32, interleaved; one with `end`, the
  notices of the whole, or with `failed`, the reason, and `clean`, whether the decoder itself failed. Any request that
  comes meanwhile ends the sound.
- `part`, with `path`, `rate`, `first` and `frames`: a message with the number of channels and the frames, channel after
  channel, or with `failed`.
- `stop`: a message with `stopped`.
"""

import bisect
import contextlib
import itertools
import math
import os
import select
import signal
import socket
import stat
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

if sys.platform == "linux":
    import fcntl

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from antiphon.files.carrier_file import CarrierFile, open_carrier
from antiphon.files.containers.chunks import check_form
from antiphon.files.containers.extras import notices_of
from antiphon.files.containers.id3 import NAMES, common_name
from antiphon.files.containers.layout import layout, other_demuxer
from antiphon.files.containers.pieces import Link, Refused, SoundLayout, SplicedFile, open_file
from antiphon.files.containers.speakers import mask_of
from antiphon.files.containers.tags import read_tags
from antiphon.files.ffmpeg import lacking
from antiphon.kernel.runtime.notices import Notice
from antiphon.kernel.runtime.processes.helper_channel import HelperChannel
from antiphon.kernel.runtime.sound_formats import channel_order

# ---- A sound file as libsndfile decodes it: each of the sounds that it holds, to its end

BLOCK_SAMPLES = 32768
"""Maximum samples (frames times channels) decoded at once."""
SLACK_FRAMES = 4096
"""Frames by which a lossy file may miss its length, besides a hundredth of it."""
UNKNOWN_FRAMES = 1 << 60
LOSSY = ("VORBIS", "OPUS", "MPEG_LAYER_III", "MPEG_LAYER_II", "MPEG_LAYER_I")
Frames = NDArray[np.float32]


class ForwardFile(soundfile.SoundFile):  # type: ignore[misc]
    """A file that libsndfile decodes in order."""

    def seekable(self) -> bool:
        """Returns False: soundfile would seek after every block, at which an MP3 decoder loses its state and broken
        files fail."""
        return False


class LinkedFile:
    """A file that libsndfile decodes in order, each of its links to its end.

    `frames`: of all links, as declared by their headers or counted; None if one is unknown. `order`: for each channel
    read, its index in the file; empty if they are equal. `remark`: a sentence for the user, or "".
    """

    def __init__(self, fd: int, found: SoundLayout) -> None:
        self._fd, self._links, self.remark = fd, found.links, found.remark
        self._starts, self._promised = list[int](), list[int | None]()
        at: int | None = 0
        for n, link in enumerate(self._links):
            file = self._open(link)
            form = int(file.samplerate), int(file.channels)
            if n == 0:
                self.rate, self.channels, self.format, self.subtype = *form, str(file.format), str(file.subtype)
                self.tags: dict[str, str] = file.copy_metadata()
            elif form != (self.rate, self.channels):
                raise Refused(
                    f"its rate or channels change{'' if at is None else f' at {at / self.rate:.3f} s'}, from "
                    f"{self.rate} Hz of {self.channels} to {form[0]} of {form[1]}: cut it there, or convert it to .wav "
                    "with another program"
                )
            stated = int(file.frames) if 0 <= file.frames < UNKNOWN_FRAMES else None
            promised = stated if link.frames is None else link.frames
            self._starts.append(at or 0)
            self._promised.append(promised)
            at = None if at is None or promised is None else at + promised
        self.frames, self.lossy = at, self.subtype in LOSSY
        self.order = np.argsort(channel_order(self.format, self.channels))
        self._file, self._link, self._at = file, len(self._links) - 1, 0
        if len(self._links) > 1:
            self._begin(0)
        self._buffer: Frames = np.zeros((max(1, BLOCK_SAMPLES // self.channels), self.channels), np.float32)

    def _open(self, link: Link) -> ForwardFile:
        os.lseek(self._fd, 0, os.SEEK_SET)
        file = ForwardFile(self._fd, "r", closefd=False) if link.guessed or not link.pieces else None
        if file is None or file.frames != (link.frames or file.frames):
            file = ForwardFile(SplicedFile(self._fd, link.pieces), "r")
        check_form(file.channels, file.samplerate)
        if link.frames is not None and file.frames < link.frames:
            raise Refused("its bit rate changes, which is read in mp3 alone: convert it to .wav with another program")
        return file

    def _begin(self, link: int) -> None:
        self._file.close()
        self._file, self._link, self._at = self._open(self._links[link]), link, 0

    def close(self) -> None:
        self._file.close()

    def seek(self, frame: int) -> None:
        """Continues reading at a frame. The length is known."""
        link = bisect.bisect_right(self._starts, frame) - 1
        if link != self._link:
            self._begin(link)
        self._at = frame - self._starts[link]
        self._file.seek(self._at)

    def read(self, most: int) -> Frames:
        """The next frames, float32 `[frames, channels]`, at most a block's; valid until the next, none at the end."""
        while True:
            promised = self._promised[self._link]
            # libFLAC fails at what is behind the last frame
            count = min(most, len(self._buffer), sys.maxsize if promised is None else promised - self._at)
            n = len(self._file.read(out=self._buffer[:count], fill_value=None)) if count > 0 else 0
            self._at += n
            if n:
                return self._buffer[:n].take(self.order, axis=1) if len(self.order) else self._buffer[:n]
            check_whole(promised, promised, self._at, self.lossy)
            if self._link + 1 == len(self._links):
                return self._buffer[:0]
            self._begin(self._link + 1)


def check_whole(wanted: int | None, promised: int | None, got: int, lossy: bool) -> None:
    """Raises `Refused` if fewer frames than `wanted` came; a lossy file may miss a few."""
    slack = SLACK_FRAMES + (promised or 0) // 100 if lossy else 0
    if wanted is not None and got + slack < wanted:
        raise Refused(f"it promises {promised} frames and ends or breaks after {got}: fetch or make it again")


PIPE_BYTES = 1 << 20
"""Capacity in bytes of the answer pipe, if the system allows it: decoding continues meanwhile."""
PIPE_SECONDS = 0.1
"""Seconds of sound per message if it comes by a pipe: a read returns only when it is complete."""
CHAIN_SECONDS = 1.0
"""Timeout in seconds for more data after an Ogg stream in a pipe."""
TIMEOUT_SECONDS, SHARE = 0.9, 0.25
"""Seconds of processor time allowed without a block, and beyond the share of the decoded sound; seconds allowed per
second of sound: ordinary files take under a hundredth."""
LOOKING = 3.0
"""Limit in seconds of processor time for finding the sound in a file: the frames of hours of mp3 take half a second."""
PART_TIMEOUT = 4.0
"""Limit in seconds of processor time for a part."""
WORN_SECONDS = 600
"""Seconds of processor time after which the process ends after an answer, and another is started."""
MARGIN, BEFORE = 4096, 16384
"""Frames decoded before and after a part for the resampler, whose filter is shorter; frames before a part that a lossy
decoder needs: mp3 has a reservoir of 10 frames of 1,152."""
OPEN_FILES = 32
"""Maximum number of files open at once for reading parts."""
MAX_TAG, MAX_REASON, MAX_NAME = 1000, 4096, 40
"""Maximum characters that are passed on."""
MAX_NOTICES = 1000
"""Maximum number of notices that are passed on."""
MAX_LEFT = 100
"""Maximum number of names of further tags that are passed on."""


class Stopped(Exception):
    """Raised when the rest of the sound is no longer wanted."""


class BlockSender:
    """Sends the answers to a `stream`: header, blocks (resampled if requested), and a check of the length."""

    def __init__(self, channel: HelperChannel, own: int, rate: int, channels: int) -> None:
        self._channel, self._own, self._channels, self.got = channel, own, channels, 0
        self._resample = soxr.ResampleStream(own, rate, channels, dtype="float32") if rate and rate != own else None
        self._begun = time.process_time()
        self._asked = select.poll()
        self._asked.register(channel.input, select.POLLIN)

    def begin(
        self,
        promised: int | None,
        form: str,
        subtype: str,
        tags: dict[str, str],
        remark: str = "",
        notices: Iterable[Notice] = (),
        **more: Any,
    ) -> None:
        header = {"rate": self._own, "channels": self._channels, "frames": promised, "format": form}
        said = {
            "tags": _tags(tags),
            "left": sorted(name[:MAX_NAME] for name in tags.keys() - {*NAMES} if common_name(name))[:MAX_LEFT],
        }
        met = [one.plain for one in itertools.islice(notices, MAX_NOTICES)]
        self._channel.send({**header, "subtype": subtype, **said, "remark": remark, "notices": met, **more})

    def put(self, block: Frames, *, last: bool = False) -> None:
        """Sends float32 `[frames, channels]`."""
        if self._asked.poll(0):
            raise Stopped
        if len(block):
            self.got += len(block)
            spare = SHARE * self.got / self._own - (time.process_time() - self._begun)
            _limit_cpu_time(TIMEOUT_SECONDS + min(0.0, spare))
        if self._resample is not None:
            block = self._resample.resample_chunk(block, last=last)
        if len(block):
            self._channel.send({}, block)

    def end(self, promised: int | None, *, lossy: bool, notices: Iterable[Notice] = ()) -> None:
        self.put(np.zeros((0, self._channels), np.float32), last=True)
        check_whole(promised, promised, self.got, lossy)
        self._channel.send({"end": [one.plain for one in itertools.islice(notices, MAX_NOTICES)]})


class PartFile:
    """A file whose parts are read, in any order."""

    def __init__(self, path: str) -> None:
        try:
            self._handle = open_file(os.fsencode(path))
        except OSError as error:
            raise Refused((error.strerror or str(error)).lower()) from None
        try:
            found = layout(self._handle)
            if found.demuxer:
                raise Refused(f"{found.kind} is not played from the disk in parts; convert it to .flac or .wav")
            self._file = LinkedFile(self._handle, found)
            if self._file.frames is None:
                raise Refused("it does not say how long it is; a long one has to, write it again")
        except BaseException:
            os.close(self._handle)
            raise
        self.path, self.rate, self.frames = path, self._file.rate, self._file.frames
        self.channels = min(2, self._file.channels)  # those that are read, 1 or 2
        self._at, self._sound = 0, np.zeros((0, self.channels), np.float32)

    def close(self) -> None:
        self._file.close()
        os.close(self._handle)

    def continues_from(self, frame: int) -> bool:
        """Whether reading can continue at a frame without a seek."""
        return self._at - len(self._sound) <= frame <= self._at

    def read(self, first: int, last: int) -> Frames:
        """Returns frames from `first` to before `last`, float32 `[frames, channels]`; fewer at the end of the file."""
        if not self.continues_from(first):
            begin = min(self.frames, max(0, first - BEFORE) if self._file.lossy else first)
            self._file.seek(begin)
            self._at, self._sound = begin, self._sound[:0]
        pieces = [self._sound[max(0, len(self._sound) - max(0, self._at - first)) :]]
        while self._at < last and len(piece := self._file.read(last - self._at)):
            pieces.append(piece[max(0, first - self._at) :, :2].copy())
            self._at += len(piece)
        self._sound = np.concatenate(pieces)
        check_whole(min(last, self.frames), self.frames, self._at, self._file.lossy)
        return self._sound[: max(0, last - first)]


class PartFiles:
    """Files whose parts are read, several per path for parts at several positions; the last used comes last."""

    def __init__(self) -> None:
        self._files: list[PartFile] = []

    def part(self, path: str, rate: int, first: int, count: int) -> Frames:
        """Frames `first` to `first + count` of a file at `rate`, float32 `[1 or 2, count]`; silence beyond its ends.

        A part has the same samples whatever was read before: it is resampled separately, from a frame that is a whole
        frame at both rates.
        """
        file = next((file for file in self._files if file.path == path), None) or self._open_file(path)
        whole = file.frames * rate // file.rate
        begin, end = max(0, first), min(whole, first + count)
        sound = np.zeros((file.channels, count), np.float32)
        if end <= begin:
            return sound
        shared = math.gcd(file.rate, rate)
        up, down = rate // shared, file.rate // shared
        if up == down:
            found = self._file_at(file, begin).read(begin, end)
        else:
            steps = max(0, begin * down // up - MARGIN) // down
            last = min(file.frames, end * down // up + 1 + MARGIN)
            read = self._file_at(file, steps * down).read(steps * down, last)
            found = soxr.resample(read, file.rate, rate)[begin - steps * up : end - steps * up]
        sound[:, begin - first : begin - first + len(found)] = found.T
        return sound

    def _file_at(self, file: PartFile, frame: int) -> PartFile:
        """The open file of the same path that can continue at a frame, else a newly opened one."""
        for n, other in enumerate(self._files):
            if other.path == file.path and other.continues_from(frame):
                self._files.append(self._files.pop(n))
                return other
        return self._open_file(file.path)

    def _open_file(self, path: str) -> PartFile:
        if len(self._files) >= OPEN_FILES:
            self._files.pop(0).close()
        self._files.append(PartFile(path))
        return self._files[-1]


def main(channel: HelperChannel, receiving: str, idle: str) -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            fcntl.fcntl(channel.output, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    descriptors = socket.socket(fileno=int(receiving))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # which bounds its requests
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.chdir("/")
    parts = PartFiles()
    channel.send({"ready": True})
    for request in channel.requests(float(idle) or None):
        with contextlib.suppress(Stopped):
            answer(request, channel, descriptors, parts)
        _limit_cpu_time(0.0)
        if time.process_time() > WORN_SECONDS:
            return


def answer(request: dict[str, Any], channel: HelperChannel, descriptors: socket.socket, parts: PartFiles) -> None:
    """Answers a request. Raises `Stopped` if another request has arrived meanwhile."""
    try:
        if request["do"] == "stream":
            with _received(descriptors) as fd:
                _limit_cpu_time(TIMEOUT_SECONDS)
                decode(fd, request["rate"], channel)
        elif request["do"] == "part":
            _limit_cpu_time(PART_TIMEOUT)
            sound = parts.part(request["path"], request["rate"], request["first"], request["frames"])
            channel.send({"channels": len(sound)}, sound)
        else:
            channel.send({"stopped": True})
    except (Stopped, BrokenPipeError):
        raise
    except Refused as reason:
        channel.send({"failed": str(reason), "clean": True})
    except Exception as error:
        channel.send({"failed": _reason(error)[:MAX_REASON], "clean": False})


def decode(fd: int, rate: int, channel: HelperChannel) -> None:
    """Decodes the file `fd` at `rate` Hz (0 keeps the file's), and sends it."""
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        _decode_piped(fd, rate, channel)
        return
    _limit_cpu_time(LOOKING)
    found = layout(fd)
    _limit_cpu_time(TIMEOUT_SECONDS)
    if found.demuxer:
        form = "MP4" if found.demuxer == "mov" else found.demuxer.upper()
        _decode_carrier(open_carrier(fd, found.demuxer, found.kind), form, rate, channel)
        return
    try:
        opened_file = LinkedFile(fd, found)
    except soundfile.LibsndfileError as reason:
        _decode_carrier(_by_ffmpeg(fd, found.kind, reason), found.kind.upper(), rate, channel)
        return
    with contextlib.closing(opened_file) as file:
        sound = BlockSender(channel, file.rate, rate, file.channels)
        tags = {**file.tags, **read_tags(fd)}
        more: dict[str, Any] = {"notices": notices_of(fd, found.kind)}
        more |= {"mask": mask_of(fd, found.kind, file.channels)}
        sound.begin(file.frames, file.format, file.subtype, tags, file.remark, **more)
        while len(block := file.read(BLOCK_SAMPLES)):
            sound.put(block)
        sound.end(file.frames, lossy=file.lossy)


def _decode_carrier(file: CarrierFile, form: str, rate: int, channel: HelperChannel) -> None:
    """The first sound of a file of another container, by FFmpeg."""
    with contextlib.closing(file):
        info = file.info
        sound = BlockSender(channel, info.rate, rate, info.channels)
        names = ("notices", "begins", "picture", "chapters", "mask")
        more: dict[str, Any] = {name: getattr(info, name) for name in names}
        sound.begin(info.frames, form, info.codec.upper(), dict(info.tags), **more)
        while len(block := file.read()):
            sound.put(block)
        sound.end(info.frames, lossy=True, notices=file.notices)


def _by_ffmpeg(fd: int, kind: str, reason: soundfile.LibsndfileError) -> CarrierFile:
    """Opens a file whose coding libsndfile does not decode. Raises `reason` if FFmpeg does neither."""
    demuxer = other_demuxer(fd, kind)
    try:
        if demuxer:
            return open_carrier(fd, demuxer, kind)
    except Refused as refused:
        if str(refused) == lacking(kind):
            raise
    raise reason


def _decode_piped(fd: int, rate: int, channel: HelperChannel) -> None:
    """Decodes a pipe by libsndfile. Its header may state the maximum length because the writer did not know it."""
    with ForwardFile(fd, "r", closefd=False) as file:
        check_form(file.channels, file.samplerate)
        sound = BlockSender(channel, file.samplerate, rate, file.channels)
        sound.begin(None, file.format, file.subtype, file.copy_metadata())
        each = min(BLOCK_SAMPLES // file.channels, round(PIPE_SECONDS * file.samplerate))
        buffer = np.zeros((max(1, each), file.channels), np.float32)
        order = np.argsort(channel_order(file.format, file.channels))
        while n := len(file.read(out=buffer, fill_value=None)):
            sound.put(buffer[:n].take(order, axis=1) if len(order) else buffer[:n])
        if file.format == "OGG" and select.select([fd], [], [], CHAIN_SECONDS)[0] and os.read(fd, 1):
            raise Refused(
                "another recording follows in it, and chained Ogg is read from files alone: send a file or mp3"
            )
        sound.end(None, lossy=False)


@contextlib.contextmanager
def _received(descriptors: socket.socket) -> Iterator[int]:
    _, (fd,), _, _ = socket.recv_fds(descriptors, 1, 1)
    try:
        yield fd
    finally:
        os.close(fd)


def _tags(found: dict[str, str]) -> list[tuple[str, str]]:
    tags = []
    for name in NAMES:
        text = "".join(c if c.isprintable() else " " for c in found.get(name, "")[:MAX_TAG])
        if text.strip():
            tags.append((name, " ".join(text.split())))
    return tags


def _reason(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "decoding it takes too much memory; it is broken or made to harm"
    # soundfile's and PyAV's errors have their sentence apart from the number and the descriptor
    said = getattr(error, "error_string", None) or getattr(error, "strerror", None)
    text = said or str(error) or type(error).__name__
    if "unimplemented format" in text:
        return "it is broken, or holds what is not read, as video: convert its sound to .flac or .wav"
    return f"it is broken, fetch or make it again ({' '.join(text.split())[:200].rstrip('.')})"


def _limit_cpu_time(seconds: float) -> None:
    """Sets a CPU time limit at which SIGPROF ends the process; 0 for none."""
    signal.setitimer(signal.ITIMER_PROF, max(0.001, seconds) if seconds else 0.0)
