"""The processes that decode: `python -m antiphon.kernel.io.decode_child SOCKET`, a zygote run by `decode_zygote`.

A sound file may be hostile and its decoder is C, so it runs here: few rights, little memory, and no more processor
time than the sound it has given accounts for. The zygote has imported what decoding needs, and forks a process for
each file; it looks at no file itself, so that no file can affect another. It imports little.

The socket takes requests: a rate to resample to, 4 bytes little-endian (0 keeps the file's), with three descriptors:
the file, a pipe for its sound, and a socket, its lease. On the lease the zygote sends `FORKED` or `NOT_FORKED` and,
when the process has ended, its exit code (4 bytes, negative for a signal). A lease that is closed ends the process, and
the end of the requests ends all of them.

On the pipe, messages: the first has rate, channels, frames or null, format, subtype and tags, the others are float32,
interleaved; the last has `end`, or `failed`, the reason.
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import select
import signal
import socket
import stat
import struct
import sys
from typing import Any

from antiphon.kernel.runtime import frames
from antiphon.kernel.runtime.helper_channel import limit_resources
from antiphon.kernel.runtime.sound_formats import channel_order

FORKED, NOT_FORKED = b"f", b"n"
IDLE = 30.0
"""Seconds without a file after which the zygote ends; the next file starts another one."""
MEMORY = 400 * 1024 * 1024
"""Bytes of address space; the interpreter, numpy and libsndfile take 105 MB of them."""
BLOCK_SAMPLES = 32768
"""Samples (frames times channels) of a message before resampling."""
PIPE_SECONDS = 0.1
"""Sound of a message where it comes by a pipe: a read ends only when it is complete."""
MAX_CHANNELS = 64
MIN_RATE, MAX_RATE = 1000, 768000
PATIENCE = 0.9
"""Seconds of processor time without a block, and allowed over what the decoded sound accounts for."""
SHARE = 0.25
"""Processor time allowed for each second of sound: ordinary files take under a hundredth."""
UNKNOWN_FRAMES = 1 << 60
TAGS = ("title", "artist", "album", "genre", "date", "tracknumber", "comment")
LONGEST_TAG = 1000
"""Characters of a tag that are passed on."""
LONGEST_REASON = 4096
MPEG4_CODECS = ("aac", "alac")
LOSSY = ("VORBIS", "OPUS", "MPEG_LAYER_III", "MPEG_LAYER_II", "MPEG_LAYER_I")


class Refused(Exception):
    """The file is not decoded, for this reason."""


def main(arguments: list[str]) -> int:
    control = socket.socket(fileno=int(arguments[0]))
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    _confine()
    os.chdir("/")
    _import()
    gc.collect()
    gc.freeze()  # a collection in a child would copy what it shares
    _Zygote(control).serve()
    return 0


def _import() -> None:
    import numpy  # noqa: F401
    import soundfile  # noqa: F401
    import soxr  # noqa: F401


class _Zygote:
    """Forks a process for each request, and says on its lease how it ended."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._leases: dict[int, socket.socket] = {}
        """By process."""
        self._woken, wake = os.pipe()
        for fd in (self._woken, wake):
            os.set_blocking(fd, False)
        self._inner = (self._woken, wake)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._poller = select.poll()
        for fd in (control.fileno(), self._woken):
            self._poller.register(fd, select.POLLIN)

    def serve(self) -> None:
        """Returns when no requests come any more."""
        while ready := self._poller.poll(None if self._leases else IDLE * 1000.0):
            for fd, _ in ready:
                if fd == self._woken:
                    with contextlib.suppress(BlockingIOError):
                        os.read(fd, 4096)
                elif fd != self._control.fileno():
                    self._end(fd)
                elif not self._request():
                    for pid in self._leases:
                        os.kill(pid, signal.SIGKILL)
                    return
            self._reap()

    def _request(self) -> bool:
        """Forks for the next request; False when there is none."""
        try:
            data, fds, _, _ = socket.recv_fds(self._control, 4, 3)
        except ConnectionError:
            return False
        if len(data) != 4 or len(fds) != 3:
            return False
        file, out = fds[:2]
        lease = socket.socket(fileno=fds[2])
        lease.setblocking(False)
        try:
            pid = os.fork()
        except OSError:
            with contextlib.suppress(OSError), lease:
                lease.send(NOT_FORKED)
        else:
            if pid == 0:
                self._become(file, int.from_bytes(data, "little"), out, lease)
            self._leases[pid] = lease
            self._poller.register(lease.fileno(), select.POLLIN)
            with contextlib.suppress(OSError):
                lease.send(FORKED)
        os.close(file)
        os.close(out)
        return True

    def _become(self, file: int, rate: int, out: int, lease: socket.socket) -> None:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for other in (*self._leases.values(), self._control, lease):
                other.close()
            for fd in self._inner:
                os.close(fd)
            code = run(file, rate, out)
        finally:
            os._exit(code)

    def _end(self, fd: int) -> None:
        """Ends the process of a lease that was closed."""
        self._poller.unregister(fd)
        for pid, lease in self._leases.items():
            if lease.fileno() == fd:
                os.kill(pid, signal.SIGKILL)

    def _reap(self) -> None:
        for pid, lease in list(self._leases.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                with contextlib.suppress(KeyError):
                    self._poller.unregister(lease.fileno())
                with contextlib.suppress(OSError), lease:
                    lease.send(struct.pack("<i", os.waitstatus_to_exitcode(status)))
                del self._leases[pid]


def run(fd: int, rate: int, out: int) -> int:
    """Decodes the file `fd` at `rate` Hz (0 keeps the file's) and sends messages to `out`; an exit code."""
    _allow(0.0)
    try:
        _decode(fd, rate, out)
    except BrokenPipeError:
        return 0
    except MemoryError:
        return _fail(out, "decoding it takes too much memory; it is broken or made to harm")
    except Refused as reason:
        return _fail(out, str(reason))
    except Exception as error:
        # soundfile's and PyAV's errors have their sentence apart from the number and the descriptor
        said = getattr(error, "error_string", None) or getattr(error, "strerror", None)
        text = said or str(error) or type(error).__name__
        if "unimplemented format" in text:
            return _fail(out, "it is broken, or holds what is not read, as video: convert its sound to .flac or .wav")
        return _fail(out, f"it is broken, fetch or make it again ({' '.join(text.split())[:200].rstrip('.')})")
    frames.write(out, {"end": True})
    return 0


def _decode(fd: int, rate: int, out: int) -> None:
    piped = not stat.S_ISREG(os.fstat(fd).st_mode)
    if not piped and os.pread(fd, 8, 0)[4:] == b"ftyp":
        _decode_mpeg4(fd, rate, out)
    else:
        _decode_plain(fd, rate, out, piped=piped)


def _decode_mpeg4(fd: int, rate: int, out: int) -> None:
    """The first sound of an MPEG-4 file, AAC or ALAC, by the libraries of FFmpeg."""
    import numpy

    try:
        import av
    except ModuleNotFoundError:
        raise Refused("m4a is read by the package av: pip install 'antiphon[m4a]', or save it as wav") from None
    file = os.fdopen(os.dup(fd), "rb")
    with file, av.open(file, "r", format="mp4", metadata_errors="replace") as container:
        if not container.streams.audio:
            raise Refused("there is no sound in it")
        stream = container.streams.audio[0]
        codec = stream.codec_context
        if codec.name not in MPEG4_CODECS:
            raise Refused(f"its sound is {codec.name}; aac and alac are read")
        channels = codec.channels
        _check(codec.sample_rate, channels)
        promised = None
        if stream.duration is not None and stream.time_base is not None:
            promised = round(stream.duration * stream.time_base * codec.sample_rate)
        sound = _Sound(out, codec.sample_rate, rate, channels)
        tags = {name.lower(): str(text) for name, text in container.metadata.items()}
        tags["tracknumber"] = tags.pop("track", "")
        sound.begin(promised, "MP4", codec.name.upper(), tags)
        for frame in container.decode(stream):
            if frame.sample_rate != codec.sample_rate or len(frame.layout.channels) != channels:
                raise Refused("its rate or channels change within it")
            block = frame.to_ndarray()
            if block.dtype.kind == "i":
                block = block / numpy.float32(-float(numpy.iinfo(block.dtype).min))
            samples = block.T if frame.format.is_planar else block.reshape(-1, channels)
            # the last frame is filled up with silence, which the promised length leaves out
            samples = samples if promised is None else samples[: max(0, promised - sound.got)]
            sound.put(numpy.ascontiguousarray(samples, numpy.float32))
        sound.end(promised, lossy=True)


class _Sound:
    """The messages of a sound: its header, its blocks, resampled if that is asked for, and a check of its length."""

    def __init__(self, out: int, own: int, rate: int, channels: int) -> None:
        self._out, self._own, self._channels, self.got = out, own, channels, 0
        self._resample: Any = None
        if rate and rate != own:
            import soxr

            self._resample = soxr.ResampleStream(own, rate, channels, dtype="float32")

    def begin(self, promised: int | None, form: str, subtype: str, tags: dict[str, str]) -> None:
        frames.write(
            self._out,
            {
                "rate": self._own,
                "channels": self._channels,
                "frames": promised,
                "format": form,
                "subtype": subtype,
                "tags": _tags(tags),
            },
        )

    def put(self, block: Any, *, last: bool = False) -> None:
        """Sends float32 `[frames, channels]`."""
        if len(block):
            self.got += len(block)
            _allow(self.got / self._own)
        if self._resample is not None:
            block = self._resample.resample_chunk(block, last=last)
        if len(block):
            frames.write(self._out, {}, block)

    def end(self, promised: int | None, *, lossy: bool) -> None:
        import numpy

        self.put(numpy.zeros((0, self._channels), numpy.float32), last=True)
        _check_whole(promised, self.got, lossy)


def _decode_plain(fd: int, rate: int, out: int, *, piped: bool) -> None:
    """What libsndfile decodes."""
    import numpy
    import soundfile

    class Forward(soundfile.SoundFile):  # type: ignore[misc]
        def seekable(self) -> bool:
            """Never: soundfile would seek after every block, which costs and which broken files fail."""
            return False

    with Forward(fd, "r", closefd=False) as file:
        _check(file.samplerate, file.channels)
        # who writes into a pipe does not know the length, and leaves the greatest one in the header
        promised = file.frames if 0 <= file.frames < UNKNOWN_FRAMES and not piped else None
        sound = _Sound(out, file.samplerate, rate, file.channels)
        sound.begin(promised, file.format, file.subtype, file.copy_metadata())
        got = 0
        each = BLOCK_SAMPLES // file.channels
        if piped:
            each = min(each, round(PIPE_SECONDS * file.samplerate))
        buffer = numpy.zeros((max(1, each), file.channels), numpy.float32)
        places = numpy.argsort(channel_order(file.format, file.channels))
        while True:
            n = len(file.read(out=buffer, dtype="float32", fill_value=None)) if promised != got else 0
            if n == 0:
                break
            got += n
            sound.put(buffer[:n].take(places, axis=1) if len(places) else buffer[:n])
        sound.end(promised, lossy=file.subtype in LOSSY)


def _tags(found: dict[str, str]) -> list[tuple[str, str]]:
    tags = []
    for name in TAGS:
        text = "".join(c if c.isprintable() else " " for c in found.get(name, "")[:LONGEST_TAG])
        if text.strip():
            tags.append((name, " ".join(text.split())))
    return tags


def _check(rate: int, channels: int) -> None:
    if not MIN_RATE <= rate <= MAX_RATE:
        raise Refused(f"its header says a sample rate of {rate}; {MIN_RATE} to {MAX_RATE} is allowed")
    if not 1 <= channels <= MAX_CHANNELS:
        raise Refused(f"its header says {channels} channels; 1 to {MAX_CHANNELS} are allowed")


def _check_whole(promised: int | None, got: int, lossy: bool) -> None:
    slack = 4096 + (promised or 0) // 100 if lossy else 0
    if promised is not None and got + slack < promised:
        raise Refused(f"it promises {promised} frames and ends or breaks after {got}: fetch or make it again")


def _allow(seconds: float) -> None:
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    left = min(PATIENCE, PATIENCE + SHARE * seconds - used)
    signal.setitimer(signal.ITIMER_PROF, max(0.001, left))


def _confine() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; our parent decides
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    limit_resources(
        {resource.RLIMIT_AS: MEMORY, resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: 0, resource.RLIMIT_CPU: 3600}
    )


def _fail(out: int, reason: str) -> int:
    try:
        frames.write(out, {"failed": reason[:LONGEST_REASON]})
    except BrokenPipeError:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
