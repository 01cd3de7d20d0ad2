"""State of `echo_cancel` that its kernels share, and spectra of its frames."""

from __future__ import annotations

from enum import IntEnum

from antiphon.api.kernels import address_f32, f32p, fft_real, fft_real_inverse, i64p, kernel

SLOPE_KEEP = 0.985
"""Decay by the hop of the slope of microphone on modelled echo, over the bins."""
FOUND, MOVED, LOST = 0.8, 0.6, 0.3
"""Slopes above which the path counts as right; below which the room counts as another, and the path as wrong."""
MAX_LAG = 300
"""Hops of the longest delay of the loudspeakers that is looked for."""
BANDS, BAND_BINS = 32, 4
"""Bands, of as many bins, from the first on, whose changes give the delay."""
HEARD = 0.1
"""Mean share of the modelled echo in the bins from which its slope is asked."""
QUIET = 1e-9
"""Power a bin below which nothing is learned."""
SILENT = 1e-6
"""Level of the reference that counts as silence."""


class EchoWord(IntEnum):
    """Words of a canceller; addresses of float32 arrays unless said."""

    HOP = 0
    SIZE = 1
    COUNT = 2  # partitions
    REFERENCES = 3
    NEWEST = 4  # slot of the last spectra
    TURN = 5  # partition to constrain next
    SPECTRA = 6  # [slots, references, 2, bins]
    WINDOW = 7  # [references, size]
    PATH = 8  # [count, references, 2, bins]
    DOUBT = 9  # [count, references, bins]: variance of the path's error
    TOTAL = 10  # [2, bins]
    FRAME = 11  # [size + 2]
    BINS = 12  # [size + 2], interleaved
    ERROR = 13  # [2, bins]
    LEVELS = 14  # [LEVELS, bins]
    TURNS = 15
    WORK = 16
    PAST = 17  # [size]: the last frames of the error
    GAIN = 18  # [2, size + 2]: spectra of the mask's filter, last and present
    MASKED = 19  # [size + 2]
    OPEN = 20  # hops since the mask last took something
    TWIN = 21  # 1 while a channel is the same as the first
    FIRST = 22  # [count]: variance at first
    SLOTS = 23  # of SPECTRA
    DELAY = 24  # hops by which the reference is held back
    CHANGES = 25  # [SLOTS + 1, BANDS]: changes of the reference's bands by slot, and last of the microphone
    MEANS = 26  # [2, BANDS]: their slow means
    LAGS = 27  # [MAX_LAG]: correlation of both by hops
    REST = 28  # hops since the reference was last heard
    NOISE = 29  # state of the noise of its channel


class EchoLevel(IntEnum):
    """Rows of `EchoWord.LEVELS`."""

    NEAR = 0
    SPREAD = 1  # power of the echo that the path's doubt leaves
    ECHO = 2
    ERROR = 3
    PRIOR = 4
    CUT = 5


class EchoTotal(IntEnum):
    """Float64 sums of a canceller, over time."""

    IN = 0
    OUT = 1
    CROSS = 2  # of microphone and modelled echo
    SQUARE = 3  # of the modelled echo
    WAIT = 4  # hops until a new room may be found again
    PATIENCE = 5  # hops to wait the next time
    SLOPE = 6
    REMOVED = 7  # dB, before the mask
    PRESENCE = 8  # of someone who sings, 0 to 1
    CHANGED = 9  # power of the microphone's changes, and of the reference's
    PLAYED = 10
    CLEAR = 11  # hops since another delay has been clearer
    LATE = 12  # ms by which the reference is held back
    KNOWN = 13  # ms of the delay that was given last
    LASTING = 14  # mean of `OPENS`
    EXPECTED = 15  # power of what may be left of the echo, which fades slowly
    OPENS = 16  # how sure the gate is that someone sings
    TRUSTS = 17  # how far the path is known
    VEILED = 18  # mean power of the modelled echo


WORDS, LEVELS, TOTALS = len(EchoWord), len(EchoLevel), len(EchoTotal)


@kernel
def room_spectrum(w: i64p, into: f32p) -> None:
    """into `[2, bins]` ← spectrum of `FRAME`."""
    size = w[EchoWord.SIZE]
    bins = size // 2 + 1
    mixed = address_f32(w[EchoWord.BINS])
    fft_real(address_f32(w[EchoWord.FRAME]), size, address_f32(w[EchoWord.TURNS]), address_f32(w[EchoWord.WORK]), mixed)
    for k in range(bins):
        into[k] = mixed[2 * k]
        into[bins + k] = mixed[2 * k + 1]


@kernel
def room_sound(w: i64p, source: f32p) -> None:
    """`FRAME` ← sound of a spectrum `[2, bins]`."""
    size = w[EchoWord.SIZE]
    bins = size // 2 + 1
    mixed = address_f32(w[EchoWord.BINS])
    for k in range(bins):
        mixed[2 * k] = source[k]
        mixed[2 * k + 1] = source[bins + k]
    fft_real_inverse(
        mixed, size, address_f32(w[EchoWord.TURNS]), address_f32(w[EchoWord.WORK]), address_f32(w[EchoWord.FRAME])
    )
