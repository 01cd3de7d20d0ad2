"""The process that decodes samples: `python decoding_child.py RATE FRAMES`, run by `decoding`.

A sound file may be broken or made to harm, and its decoder is C, so it runs here, with bounds on memory and, for each
file, on processor time. One process decodes file after file: to start one for each would take longer than the decoding.
It imports nothing of ours.

On standard input, a line of JSON a file: its path. On standard output, for each: two little-endian 32-bit numbers,
channels and frames, and the samples, float32, channel after channel; or 0, a length, and so many bytes of a reason.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import stat
import struct
import sys
from typing import Any, BinaryIO

MEMORY = 800 << 20
"""Bytes of address space; the interpreter, numpy and libsndfile take 105 MB of them."""
PATIENCE = 4.0
"""Seconds of processor time for one file; 30 s of sound take under 0.3."""
PIECE = 1 << 16
"""Frames read at once."""
MAX_CHANNELS = 64
MIN_RATE, MAX_RATE = 1000, 768000
LONG = "long"
"""The reason of a sound that has more than so many frames."""
EMPTY = "empty"


class SampleRefused(Exception):
    """The file is not decoded, for this reason."""


def main(rate: int, frames: int) -> None:
    for limit, most in (
        (resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0),
    ):  # fmt: skip
        resource.setrlimit(limit, (most, most))
    import numpy  # noqa: F401  before the first file
    import soundfile  # noqa: F401

    out = sys.stdout.buffer
    for line in sys.stdin:
        # SIGPROF ends the process
        signal.setitimer(signal.ITIMER_PROF, PATIENCE)
        try:
            sound = decode(json.loads(line), rate, frames)
        except MemoryError:
            fail(out, "decoding it takes too much memory; it is broken or made to harm")
        except SampleRefused as reason:
            fail(out, str(reason))
        except OSError as error:
            fail(out, (error.strerror or str(error)).lower())
        except Exception as error:
            text = getattr(error, "error_string", None) or str(error) or type(error).__name__
            fail(out, f"it is broken, fetch or make it again ({' '.join(text.split())[:200].rstrip('.')})")
        else:
            out.write(struct.pack("<II", *sound.shape))
            out.write(sound.data)
        out.flush()


def decode(path: str, rate: int, most: int) -> Any:
    """float32 `[1 or 2, frames]`, the first channels of those there are, at `rate`; at most `most` frames."""
    import numpy
    import soundfile

    # O_NONBLOCK: opening a named pipe would otherwise wait for its writer
    handle = os.open(path.encode(errors="surrogateescape"), os.O_RDONLY | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise SampleRefused("it is not an ordinary file")
        with soundfile.SoundFile(handle, "r", closefd=False) as file:
            given, channels = file.samplerate, file.channels
            if not MIN_RATE <= given <= MAX_RATE or not 1 <= channels <= MAX_CHANNELS:
                raise SampleRefused(
                    f"it has {channels} channels at {given} Hz; up to {MAX_CHANNELS} at up to {MAX_RATE} are read"
                )
            limit = most * given // rate + 1
            pieces, count = [], 0
            while count <= limit:
                piece = file.read(PIECE, dtype="float32", always_2d=True)
                if not len(piece):
                    break
                bad = ~numpy.isfinite(piece).all(axis=1)
                if bad.any():
                    at = f"{(count + int(bad.argmax())) / given:.3f}"
                    raise SampleRefused(f"its sample at {at} s is not a number (NaN or infinite); mend it in an editor")
                pieces.append(piece[:, :2].copy())
                count += len(piece)
    finally:
        os.close(handle)
    if not count:
        raise SampleRefused(EMPTY)
    if count > limit:
        raise SampleRefused(LONG)
    sound = numpy.concatenate(pieces)
    if given != rate:
        import soxr

        sound = soxr.resample(sound, given, rate)
    return numpy.ascontiguousarray(sound.T, numpy.float32)


def fail(out: BinaryIO, reason: str) -> None:
    data = reason.encode(errors="replace")[:2000]
    out.write(struct.pack("<II", 0, len(data)) + data)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
