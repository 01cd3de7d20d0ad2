"""Delay of the loudspeakers, by what changes in the microphone and in what was played."""

from __future__ import annotations

import math

from antiphon.api.kernels import address_f32, f32, f32p, f64, f64p, i64, i64p, kernel, offset
from antiphon_room.words import BAND_BINS, BANDS, FOUND, HEARD, MAX_LAG, QUIET, SLOPE_KEEP, EchoTotal, EchoWord

LAG_KEEP = 0.998
"""Decay by the hop of the correlation at a delay."""
MEAN_KEEP = 0.97
"""Decay by the hop of a band's mean, from which changes are counted."""
AHEAD_HOPS = 4
"""Hops of the filter that are kept before the delay that was found."""
CLEARER, ALIKE, CLEAR_HOPS = 1.03, 0.3, 150.0
"""Times by which a delay has to correlate better than those within the filter; its least correlation; for so long."""


@kernel
def room_right(w: i64p, sums: f64p) -> i64:
    """1 where the path explains the microphone."""
    heard = sums[EchoTotal.SQUARE] * (1.0 - SLOPE_KEEP) > HEARD * f64(w[EchoWord.SIZE] // 2 + 1)
    return 1 if sums[EchoTotal.SLOPE] > FOUND and heard else 0


@kernel
def room_change(w: i64p, a: f32p, b: f32p, mean: f32p, into: f32p) -> None:
    """into `[BANDS]` ← log power of the sum of two spectra `[2, bins]` by band, above its mean."""
    bins = w[EchoWord.SIZE] // 2 + 1
    for band in range(BANDS):
        power = f32(1e-4)
        for k in range(band * BAND_BINS + 1, min((band + 1) * BAND_BINS + 1, bins)):
            real = a[k] + b[k]
            imag = a[bins + k] + b[bins + k]
            power = power + real * real + imag * imag
        level = f32(math.log(power))
        mean[band] = mean[band] + f32(1.0 - MEAN_KEEP) * (level - mean[band])
        into[band] = level - mean[band]


@kernel
def room_square(changes: f32p) -> f64:
    """Sum of squares of `[BANDS]`."""
    total = f64(0.0)
    for band in range(BANDS):
        total = total + f64(changes[band]) * f64(changes[band])
    return total


@kernel
def room_lag(w: i64p, own: i64p, sums: f64p) -> i64:
    """Hops of the loudspeakers' delay where it is another than thought, else -1.

    The changes of microphone and reference are correlated, by the hop; a delay within the filter's first half is left.
    """
    slots = w[EchoWord.SLOTS]
    newest = w[EchoWord.NEWEST]
    changes = address_f32(w[EchoWord.CHANGES])
    means = address_f32(w[EchoWord.MEANS])
    lags = address_f32(w[EchoWord.LAGS])
    heard = offset(changes, slots * BANDS)
    x = address_f32(w[EchoWord.SPECTRA] + 8 * (w[EchoWord.SIZE] // 2 + 1) * newest * w[EchoWord.REFERENCES])
    side = (w[EchoWord.REFERENCES] - 1) * (w[EchoWord.SIZE] + 2)
    room_change(w, x, offset(x, side), means, offset(changes, newest * BANDS))
    room_change(w, address_f32(own[EchoWord.ERROR]), address_f32(w[EchoWord.TOTAL]), offset(means, BANDS), heard)
    low = w[EchoWord.DELAY]
    high = low + w[EchoWord.COUNT] // 2
    inside = f32(0.0)
    best = f32(0.0)
    found = low
    for lag in range(MAX_LAG):
        slot = newest - lag
        slot = slot + slots if slot < 0 else slot
        then = offset(changes, slot * BANDS)
        total = f32(0.0)
        for band in range(BANDS):
            total = total + heard[band] * then[band]
        lags[lag] = f32(LAG_KEEP) * lags[lag] + total
        if low <= lag and lag <= high:
            inside = max(inside, lags[lag])
        elif lags[lag] > best:
            best = lags[lag]
            found = lag
    now = offset(changes, newest * BANDS)
    sums[EchoTotal.CHANGED] = LAG_KEEP * sums[EchoTotal.CHANGED] + room_square(heard)
    sums[EchoTotal.PLAYED] = LAG_KEEP * sums[EchoTotal.PLAYED] + room_square(now)
    alike = ALIKE * math.sqrt(sums[EchoTotal.CHANGED] * sums[EchoTotal.PLAYED]) + QUIET
    other = f64(best) > max(CLEARER * f64(inside), alike) and room_right(w, sums) == 0
    sums[EchoTotal.CLEAR] = sums[EchoTotal.CLEAR] + 1.0 if other else 0.0
    if sums[EchoTotal.CLEAR] < CLEAR_HOPS:
        return -1
    sums[EchoTotal.CLEAR] = 0.0
    return i64(found)
