"""State of `echo_cancel` shared by its kernels, spectra of its frames, and the mask of the residual echo."""

from __future__ import annotations

import math
from enum import IntEnum

from antiphon.api.kernels import address_f32, f32, f32p, f64, f64p, fft_real, fft_real_inverse, i64p, kernel, offset

SLOPE_KEEP = 0.985
"""Decay by the hop of the slope of microphone on modelled echo, over the bins."""
FOUND, MOVED, LOST = 0.8, 0.6, 0.3
"""Slopes above which the path counts as right; below which the room counts as another, and the path as wrong."""
MAX_LAG = 300
"""Maximum delay in hops of the loudspeakers that is searched."""
BANDS, BAND_BINS = 32, 4
"""Number of bands and bins per band, from the lowest on, whose changes reveal the delay."""
HEARD = 0.1
"""Minimum mean power of the modelled echo per bin for its slope to be evaluated."""
QUIET = 1e-9
"""Power per bin below which nothing is adapted."""
SILENT = 1e-6
"""Level below which the reference counts as silent."""


class EchoWord(IntEnum):
    """Indices of a canceller's words; addresses are of float32 arrays unless stated."""

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
    FIXED = 31  # 1 where the delay is known, and not looked for
    LEAKS = 30  # [LEAKS]: means of error and modelled echo by bin, and by band the products of their changes


class EchoLevel(IntEnum):
    """Rows of `EchoWord.LEVELS`."""

    NEAR = 0
    SPREAD = 1  # power of the echo that the path's doubt leaves
    ECHO = 2
    ERROR = 3
    PRIOR = 4
    CUT = 5


class EchoTotal(IntEnum):
    """Indices of a canceller's float64 sums over time."""

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
def room_inverse_transform(w: i64p, source: f32p) -> None:
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


DOUBTED = 0.3
"""Residual echo power as a share of the power that the path's variance allows."""
UNMODELLED = 0.01
"""Residual echo power as a share of the removed echo."""
MIN_GAIN = 0.02
"""Minimum gain of the mask while only the loudspeakers play."""
NEAR_GAIN = 0.5
"""Least gain of the mask where someone sings."""
CLOSED = 0.001
"""Gain of all bins with an echo, where there is no near end."""
ABSENT, PRESENT = 2.0, 8.0
"""dB of the error over the residual echo: near end absent below the first, and present above the second."""
REVERBERATES = 0.97
"""Decay per hop of the estimated residual echo."""
PRESENCE_KEEP = 0.95
"""Decay per hop of the confidence that someone sings."""
OPENS, CLOSES, MOST_SURE = 0.1, 0.04, 2.0
"""Steps per hop by which the gate comes to take the near end as present, and as absent; maximum confidence."""
LASTS = 0.01
"""Step per hop of the mean confidence: after someone has sung for a while, the gate stays open between notes."""
TRUSTED, TRUSTS = 4.0, 0.02
"""Half the dB of the echo over its residual above which the path counts as known, and the smoothing factor per hop;
while a room is being learned, the gate stays open."""
VEIL, VEILS = 0.001, 0.02
"""Power of the masking noise as a share of the echo's, and smoothing factor per hop with which it follows that."""
SUNG_BINS, LEAK_BANDS = 128, 16
"""Number of bins used to detect the near end, and of the bands in which the echo's leakage is estimated."""
LEAKS = 2 * SUNG_BINS + 2 * LEAK_BANDS
LEAK_MEAN_KEEP, LEAK_KEEP, MOST_CHANGE = 0.98, 0.99, 4.0
"""Decays per hop of the means and of the products of the changes, and the largest change in means of the echo."""


@kernel
def room_leaked_power(w: i64p, own: i64p) -> f64:
    """Power of the error that comes and goes with the modelled echo, in the lowest `SUNG_BINS` bins.

    It is the regression of the changes of the error's power on those of the echo's (Valin, "On adjusting the learning
    rate in frequency domain echo cancellation with double-talk", 2007). The near end changes by itself, so it does not
    count, however soft it is; what the path does not explain does, as of a clock that drifts.
    """
    bins = w[EchoWord.SIZE] // 2 + 1
    count = min(SUNG_BINS, bins)
    levels = address_f32(own[EchoWord.LEVELS])
    echoes = offset(levels, EchoLevel.ECHO * bins)
    power = offset(levels, EchoLevel.ERROR * bins)
    errors = address_f32(own[EchoWord.LEAKS])
    means = offset(errors, SUNG_BINS)
    both = offset(errors, 2 * SUNG_BINS)
    square = offset(both, LEAK_BANDS)
    mean = f32(0.0)
    for k in range(count):
        errors[k] = errors[k] + f32(1.0 - LEAK_MEAN_KEEP) * (power[k] - errors[k])
        means[k] = means[k] + f32(1.0 - LEAK_MEAN_KEEP) * (echoes[k] - means[k])
        mean = mean + means[k] / f32(count)
    leaked = f64(0.0)
    for band in range(LEAK_BANDS):
        both[band] = f32(LEAK_KEEP) * both[band]
        square[band] = f32(LEAK_KEEP) * square[band]
        echo = f64(0.0)
        for k in range(band * count // LEAK_BANDS, (band + 1) * count // LEAK_BANDS):
            unit = f32(1.0) / (means[k] + f32(1e-3) * mean + f32(QUIET))
            most = f32(MOST_CHANGE)
            change = max(min((power[k] - errors[k]) * unit, most), -most)
            played = max(min((echoes[k] - means[k]) * unit, most), -most)
            both[band] = both[band] + change * played
            square[band] = square[band] + played * played
            echo = echo + f64(echoes[k])
        leaked = leaked + f64(both[band]) / (f64(square[band]) + QUIET) * echo
    return leaked


@kernel
def room_minimum_gain(w: i64p, own: i64p, sums: f64p) -> f32:
    """Minimum gain of the mask, by the level of the error above the residual echo."""
    bins = w[EchoWord.SIZE] // 2 + 1
    levels = address_f32(own[EchoWord.LEVELS])
    echoes = offset(levels, EchoLevel.ECHO * bins)
    power = offset(levels, EchoLevel.ERROR * bins)
    heard = f64(QUIET)
    echo = f64(QUIET)
    for k in range(min(SUNG_BINS, bins)):
        heard = heard + f64(power[k])
        echo = echo + f64(echoes[k])
    # the room goes on beyond the filter
    sums[EchoTotal.EXPECTED] = max(UNMODELLED * echo, REVERBERATES * sums[EchoTotal.EXPECTED])
    expected = max(room_leaked_power(w, own), sums[EchoTotal.EXPECTED])
    sums[EchoTotal.VEILED] = sums[EchoTotal.VEILED] + VEILS * (echo - sums[EchoTotal.VEILED])
    above = 4.343 * math.log(heard / expected)
    now = max(0.0, min(1.0, (above - ABSENT) / (PRESENT - ABSENT)))
    sums[EchoTotal.PRESENCE] = max(now, PRESENCE_KEEP * sums[EchoTotal.PRESENCE])
    trusts = max(0.0, min(1.0, 4.343 * math.log(echo / expected) / TRUSTED - 1.0))
    sums[EchoTotal.TRUSTS] = sums[EchoTotal.TRUSTS] + TRUSTS * (trusts - sums[EchoTotal.TRUSTS])
    sure = max(0.0, min(MOST_SURE, (above - ABSENT) / (PRESENT - ABSENT)))
    opens = sums[EchoTotal.OPENS]
    opens = opens + (OPENS if sure > opens else CLOSES) * (sure - opens)
    sums[EchoTotal.OPENS] = opens
    sums[EchoTotal.LASTING] = sums[EchoTotal.LASTING] + LASTS * (min(1.0, opens) - sums[EchoTotal.LASTING])
    return f32(MIN_GAIN * math.exp(sums[EchoTotal.PRESENCE] * math.log(NEAR_GAIN / MIN_GAIN)))


@kernel
def room_mask_gains(w: i64p, own: i64p, sums: f64p, strength: f64) -> None:
    """`CUT` ← log gains of the mask. `strength`: 0 for none, 1 for all."""
    bins = w[EchoWord.SIZE] // 2 + 1
    levels = address_f32(own[EchoWord.LEVELS])
    spread = offset(levels, EchoLevel.SPREAD * bins)
    echoes = offset(levels, EchoLevel.ECHO * bins)
    power = offset(levels, EchoLevel.ERROR * bins)
    prior = offset(levels, EchoLevel.PRIOR * bins)
    cut = offset(levels, EchoLevel.CUT * bins)
    least = room_minimum_gain(w, own, sums)
    taken = 0
    # of a loudspeaker that is muted there is nothing to mask
    sure = f32(max(0.0, min(1.0, (sums[EchoTotal.SLOPE] - LOST) / (MOVED - LOST))))
    # a drum that is badly explained for a hop or two does not open it
    opened = min(1.0, max(3.0 * sums[EchoTotal.OPENS] - 1.0, 3.0 * sums[EchoTotal.LASTING], 0.0))
    shut = f32(math.exp(f64(sure) * sums[EchoTotal.TRUSTS] * (1.0 - opened) * math.log(CLOSED)))
    for k in range(bins):
        left = sure * (f32(DOUBTED) * spread[k] + f32(UNMODELLED) * echoes[k])
        post = power[k] / (left + f32(QUIET))
        now = max(post - f32(1.0), f32(0.0))
        ratio = f32(0.7) * prior[k] + f32(0.3) * now
        g = ratio / (ratio + f32(1.0))
        prior[k] = min(g * g * post, f32(1e6))
        g = max(g, least) if left > f32(0.0) else f32(1.0)
        g = f32(1.0) + f32(strength) * (g - f32(1.0))
        g = g * shut if left > f32(0.0) else g
        taken = 1 if g < f32(1.0) else taken
        cut[k] = math.log(g)
    own[EchoWord.OPEN] = 0 if taken == 1 else own[EchoWord.OPEN] + 1


@kernel
def room_add_masking_noise(w: i64p, own: i64p, sums: f64p, sound: f32p) -> None:
    """sound ← sound + noise that masks residual tones of the echo, which `hum` would take for a second voice."""
    hop = w[EchoWord.HOP]
    state = own[EchoWord.NOISE]
    power = VEIL * (sums[EchoTotal.VEILED] - f64(QUIET)) / f64(w[EchoWord.SIZE] // 2 * hop)
    level = f32(math.sqrt(max(0.0, 3.0 * power)) / 2147483648.0)
    for n in range(hop):
        state = state * 6364136223846793005 + 1442695040888963407
        sound[n] = sound[n] + level * f32(state >> 32)
    own[EchoWord.NOISE] = state


@kernel
def room_minimum_phase_spectrum(w: i64p, own: i64p) -> None:
    """`GAIN` ← spectrum of a minimum-phase filter with the gains of `CUT`, by folding the cepstrum of the log gain."""
    size = w[EchoWord.SIZE]
    bins = size // 2 + 1
    frame = address_f32(w[EchoWord.FRAME])
    cut = offset(address_f32(own[EchoWord.LEVELS]), EchoLevel.CUT * bins)
    mixed = address_f32(w[EchoWord.BINS])
    for k in range(bins):
        mixed[2 * k] = cut[k]
        mixed[2 * k + 1] = f32(0.0)
    turns = address_f32(w[EchoWord.TURNS])
    work = address_f32(w[EchoWord.WORK])
    fft_real_inverse(mixed, size, turns, work, frame)
    for n in range(1, size // 2):
        frame[n] = f32(2.0) * frame[n]
        frame[size - n] = f32(0.0)
    fft_real(frame, size, turns, work, mixed)
    for k in range(bins):
        g = math.exp(mixed[2 * k])
        turn = mixed[2 * k + 1]
        mixed[2 * k] = g * math.cos(turn)
        mixed[2 * k + 1] = g * math.sin(turn)
    fft_real_inverse(mixed, size, turns, work, frame)
    length = size - w[EchoWord.HOP]
    for n in range(size):
        fade = f32(1.0) if n < length // 2 else max(f32(0.0), f32(2.0) - f32(2 * n) / f32(length))
        frame[n] = frame[n] * fade
    last = address_f32(own[EchoWord.GAIN])
    for n in range(size + 2):
        last[n] = last[size + 2 + n]
    fft_real(frame, size, turns, work, offset(last, size + 2))


@kernel
def room_apply_filter(w: i64p, own: i64p, gain: f32p) -> None:
    """`FRAME` ← `PAST` filtered by `gain`; its last hop is valid."""
    size = w[EchoWord.SIZE]
    turns = address_f32(w[EchoWord.TURNS])
    work = address_f32(w[EchoWord.WORK])
    frame = address_f32(w[EchoWord.FRAME])
    past = address_f32(own[EchoWord.PAST])
    mixed = address_f32(w[EchoWord.BINS])
    for n in range(size):
        frame[n] = past[n]
    fft_real(frame, size, turns, work, mixed)
    for k in range(size // 2 + 1):
        real = mixed[2 * k]
        mixed[2 * k] = real * gain[2 * k] - mixed[2 * k + 1] * gain[2 * k + 1]
        mixed[2 * k + 1] = real * gain[2 * k + 1] + mixed[2 * k + 1] * gain[2 * k]
    fft_real_inverse(mixed, size, turns, work, frame)


@kernel
def room_mask(w: i64p, own: i64p, sums: f64p, sound: f32p, strength: f64) -> None:
    """sound ← a hop after the mask, in place. `strength`: 0 for none, 1 for all."""
    hop = w[EchoWord.HOP]
    size = w[EchoWord.SIZE]
    frame = address_f32(w[EchoWord.FRAME])
    past = address_f32(own[EchoWord.PAST])
    last = address_f32(own[EchoWord.GAIN])
    room_mask_gains(w, own, sums, strength)
    room_add_masking_noise(w, own, sums, sound)
    room_minimum_phase_spectrum(w, own)
    for n in range(size - hop):
        past[n] = past[n + hop]
    for n in range(hop):
        past[size - hop + n] = sound[n]
    if own[EchoWord.OPEN] > 1:
        return
    room_apply_filter(w, own, last)
    for n in range(hop):
        sound[n] = frame[size - hop + n] * (f32(1.0) - f32(n) / f32(hop))
    room_apply_filter(w, own, offset(last, size + 2))
    for n in range(hop):
        sound[n] = sound[n] + frame[size - hop + n] * (f32(n) / f32(hop))
