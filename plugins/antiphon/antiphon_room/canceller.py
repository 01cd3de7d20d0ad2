"""Adaptive filter of `echo_cancel`, in the frequency domain, in partitions, with a Kalman gain per bin.

Enzner and Vary, "Frequency-domain adaptive Kalman filter for acoustic echo control in hands-free telephones" (Signal
Processing 86, 2006); partitioned as by Kuech, Mabande and Enzner, "State-space architecture of the partitioned-block-
based acoustic echo controller" (ICASSP 2014). The gain falls by itself if someone sings while the loudspeakers play.
The residual echo is masked by its estimated share, through a minimum-phase filter without delay.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from antiphon.api import F32
from antiphon.api.kernels import Audio, RealFft, address, address_f32, f32, f32p, f64, f64p, i64, i64p, kernel, offset
from antiphon_room.words import (
    BAND_BINS,
    BANDS,
    FOUND,
    HEARD,
    LEAKS,
    LEVELS,
    LOST,
    MAX_LAG,
    MOVED,
    QUIET,
    SILENT,
    SLOPE_KEEP,
    TOTALS,
    WORDS,
    EchoLevel,
    EchoTotal,
    EchoWord,
    room_inverse_transform,
    room_mask,
    room_spectrum,
)

LAG_KEEP = 0.998
"""Decay per hop of the correlation at each delay."""
MEAN_KEEP = 0.97
"""Decay per hop of a band's mean, relative to which changes are measured."""
AHEAD_HOPS = 4
"""Hops kept in the filter before the detected delay."""
CLEARER, ALIKE, CLEAR_HOPS = 1.03, 0.3, 150.0
"""Factor by which a delay must correlate better than those in the filter; minimum correlation; hops it must last."""


@kernel
def room_is_path_right(w: i64p, sums: f64p) -> i64:
    """1 where the path explains the microphone."""
    heard = sums[EchoTotal.SQUARE] * (1.0 - SLOPE_KEEP) > HEARD * f64(w[EchoWord.SIZE] // 2 + 1)
    return 1 if sums[EchoTotal.SLOPE] > FOUND and heard else 0


@kernel
def room_log_power_change(w: i64p, a: f32p, b: f32p, mean: f32p, into: f32p) -> None:
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
def room_sum_of_squares(changes: f32p) -> f64:
    """Sum of squares of `[BANDS]`."""
    total = f64(0.0)
    for band in range(BANDS):
        total = total + f64(changes[band]) * f64(changes[band])
    return total


@kernel
def room_find_delay(w: i64p, own: i64p, sums: f64p) -> i64:
    """Delay of the loudspeakers in hops if it differs from the assumed one, else -1.

    Changes of microphone and reference are correlated per hop; a delay within the filter's first half is kept.
    """
    slots = w[EchoWord.SLOTS]
    newest = w[EchoWord.NEWEST]
    changes = address_f32(w[EchoWord.CHANGES])
    means = address_f32(w[EchoWord.MEANS])
    lags = address_f32(w[EchoWord.LAGS])
    heard = offset(changes, slots * BANDS)
    x = address_f32(w[EchoWord.SPECTRA] + 8 * (w[EchoWord.SIZE] // 2 + 1) * newest * w[EchoWord.REFERENCES])
    side = (w[EchoWord.REFERENCES] - 1) * (w[EchoWord.SIZE] + 2)
    room_log_power_change(w, x, offset(x, side), means, offset(changes, newest * BANDS))
    room_log_power_change(
        w, address_f32(own[EchoWord.ERROR]), address_f32(w[EchoWord.TOTAL]), offset(means, BANDS), heard
    )
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
    sums[EchoTotal.CHANGED] = LAG_KEEP * sums[EchoTotal.CHANGED] + room_sum_of_squares(heard)
    sums[EchoTotal.PLAYED] = LAG_KEEP * sums[EchoTotal.PLAYED] + room_sum_of_squares(now)
    alike = ALIKE * math.sqrt(sums[EchoTotal.CHANGED] * sums[EchoTotal.PLAYED]) + QUIET
    other = f64(best) > max(CLEARER * f64(inside), alike) and room_is_path_right(w, sums) == 0
    sums[EchoTotal.CLEAR] = sums[EchoTotal.CLEAR] + 1.0 if other else 0.0
    if sums[EchoTotal.CLEAR] < CLEAR_HOPS:
        return -1
    sums[EchoTotal.CLEAR] = 0.0
    return i64(found)


HOP_SECONDS = 0.005
FILTER_SECONDS = 0.25
"""Length in seconds of the modelled echo path."""
CONSTRAINED = 4
"""Number of partitions per hop, in turn, whose circular wrap-around is removed."""
KEEP = 0.999
"""Decay of the path per hop in the Kalman model, which sets how fast a room may change."""
SETTLE = 0.1
"""Factor on the fall of the path's variance per hop, because hops of held notes carry the same information."""
FIRST_DOUBT, DOUBT_SECONDS = 0.1, 0.06
"""Initial variance of the first partition, and the seconds in which it falls to 1/e over the partitions."""
NEAR_KEEP = 0.88
"""Decay by the hop of the near end's power."""
KEPT = 0.8
"""Share of the path that is kept when a room counts as changed."""
MOVED_HOPS, MOST_HOPS = 100.0, 6400.0
"""Minimum and maximum hops between two changes of room."""
LOUDEST = 64.0
"""Magnitude at and above which a sample counts as faulty, and as silence."""


@kernel
def room_push_reference(w: i64p, reference: f32p) -> None:
    """Writes a hop of the reference, `[references, hop]`, into the newest slot."""
    hop = w[EchoWord.HOP]
    size = w[EchoWord.SIZE]
    bins = size // 2 + 1
    slot = w[EchoWord.NEWEST] + 1
    slot = 0 if slot == w[EchoWord.SLOTS] else slot
    w[EchoWord.NEWEST] = slot
    frame = address_f32(w[EchoWord.FRAME])
    loudest = f32(0.0)
    for r in range(w[EchoWord.REFERENCES]):
        window = address_f32(w[EchoWord.WINDOW] + 4 * r * size)
        for n in range(size - hop):
            window[n] = window[n + hop]
        for n in range(hop):
            window[size - hop + n] = reference[r * hop + n]
            loudest = max(loudest, abs(reference[r * hop + n]))
        for n in range(size):
            frame[n] = window[n]
        at = slot * w[EchoWord.REFERENCES] + r
        room_spectrum(w, address_f32(w[EchoWord.SPECTRA] + 8 * at * bins))
    w[EchoWord.REST] = 0 if loudest > f32(SILENT) else w[EchoWord.REST] + 1


@kernel
def room_add_product(total: f32p, x: f32p, h: f32p, bins: i64) -> None:
    """total ← total + x h, complex, each `[2, bins]`."""
    for i in range(bins):
        total[i] = total[i] + x[i] * h[i] - x[bins + i] * h[bins + i]
    for i in range(bins):
        total[bins + i] = total[bins + i] + x[i] * h[bins + i] + x[bins + i] * h[i]


@kernel
def room_add_spread(spread: f32p, x: f32p, h: f32p, doubt: f32p, bins: i64, keep: f32) -> None:
    """doubt ← that of the next hop; spread ← spread + doubt |x|²."""
    for i in range(bins):
        doubt[i] = keep * doubt[i] + (f32(1.0) - keep) * (h[i] * h[i] + h[bins + i] * h[bins + i])
        spread[i] = spread[i] + doubt[i] * (x[i] * x[i] + x[bins + i] * x[bins + i])


@kernel
def room_update_partition(x: f32p, h: f32p, doubt: f32p, error: f32p, scale: f32p, bins: i64, settle: f32) -> None:
    """Kalman update of one partition. `scale`: inverse of the expected power of the error."""
    for i in range(bins):
        mu = doubt[i] * scale[i]
        h[i] = h[i] + mu * (x[i] * error[i] + x[bins + i] * error[bins + i])
        h[bins + i] = h[bins + i] + mu * (x[i] * error[bins + i] - x[bins + i] * error[i])
        doubt[i] = doubt[i] * (f32(1.0) - settle * mu * (x[i] * x[i] + x[bins + i] * x[bins + i]))


@kernel
def room_reset_variance(w: i64p, own: i64p, share: f32) -> None:
    """Resets the path's variance to its initial value, except for the share of the path that is kept."""
    bins = w[EchoWord.SIZE] // 2 + 1
    path = address_f32(own[EchoWord.PATH])
    doubt = address_f32(own[EchoWord.DOUBT])
    first = address_f32(w[EchoWord.FIRST])
    row = w[EchoWord.REFERENCES] * bins
    for p in range(w[EchoWord.COUNT]):
        for k in range(row):
            doubt[p * row + k] = max(doubt[p * row + k], first[p] * (f32(1.0) - share))
        for k in range(2 * row):
            path[2 * p * row + k] = share * path[2 * p * row + k]


@kernel
def room_predict(w: i64p, own: i64p) -> None:
    """`FRAME` ← modelled echo, whose last hop is valid; `SPREAD` ← power that the path's variance allows."""
    bins = w[EchoWord.SIZE] // 2 + 1
    count = w[EchoWord.COUNT]
    references = w[EchoWord.REFERENCES]
    total = address_f32(w[EchoWord.TOTAL])
    spread = offset(address_f32(own[EchoWord.LEVELS]), EchoLevel.SPREAD * bins)
    # of silence nothing is learned: a path that was never heard stays as doubtful as it was
    keep = f32(KEEP * KEEP) if w[EchoWord.REST] <= w[EchoWord.DELAY] + count else f32(1.0)
    for k in range(bins):
        spread[k] = f32(0.0)
        total[k] = f32(0.0)
        total[bins + k] = f32(0.0)
    for p in range(count):
        slot = w[EchoWord.NEWEST] - w[EchoWord.DELAY] - p
        slot = slot + w[EchoWord.SLOTS] if slot < 0 else slot
        for r in range(references):
            at = p * references + r
            x = address_f32(w[EchoWord.SPECTRA] + 8 * bins * (slot * references + r))
            h = address_f32(own[EchoWord.PATH] + 8 * bins * at)
            room_add_product(total, x, h, bins)
            doubt = address_f32(own[EchoWord.DOUBT] + 4 * bins * at)
            room_add_spread(spread, x, h, doubt, bins, keep)
    room_inverse_transform(w, total)


@kernel
def room_padded_spectrum(w: i64p, sound: f32p, into: f32p) -> None:
    """into `[2, bins]` ← spectrum of a hop preceded by zeros."""
    size = w[EchoWord.SIZE]
    start = size - w[EchoWord.HOP]
    frame = address_f32(w[EchoWord.FRAME])
    for n in range(size):
        frame[n] = sound[n - start] if n >= start else f32(0.0)
    room_spectrum(w, into)


@kernel
def room_subtract(w: i64p, own: i64p, sums: f64p, mic: f32p, out: f32p) -> None:
    """out ← mic without the modelled echo of `FRAME`; mic ← that echo; `ERROR`, `TOTAL` ← their spectra."""
    hop = w[EchoWord.HOP]
    start = w[EchoWord.SIZE] - hop
    frame = address_f32(w[EchoWord.FRAME])
    before = f64(0.0)
    after = f64(0.0)
    for n in range(hop):
        echo = frame[start + n]
        before = before + f64(mic[n]) * f64(mic[n])
        out[n] = mic[n] - echo
        after = after + f64(out[n]) * f64(out[n])
        mic[n] = echo
    sums[EchoTotal.IN] = 0.95 * sums[EchoTotal.IN] + before
    sums[EchoTotal.OUT] = 0.95 * sums[EchoTotal.OUT] + after
    ratio = (sums[EchoTotal.IN] + QUIET) / (sums[EchoTotal.OUT] + QUIET)
    sums[EchoTotal.REMOVED] = 4.343 * math.log(ratio) if ratio > 1.0 else 0.0
    room_padded_spectrum(w, out, address_f32(own[EchoWord.ERROR]))
    room_padded_spectrum(w, mic, address_f32(w[EchoWord.TOTAL]))


@kernel
def room_update_levels(w: i64p, own: i64p, sums: f64p) -> None:
    """Levels of error and modelled echo; `MASKED` ← inverse of the error's expected power; the path's slope."""
    bins = w[EchoWord.SIZE] // 2 + 1
    part = f32(w[EchoWord.HOP]) / f32(w[EchoWord.SIZE])
    error = address_f32(own[EchoWord.ERROR])
    total = address_f32(w[EchoWord.TOTAL])
    levels = address_f32(own[EchoWord.LEVELS])
    spread = offset(levels, EchoLevel.SPREAD * bins)
    near = offset(levels, EchoLevel.NEAR * bins)
    power = offset(levels, EchoLevel.ERROR * bins)
    echoes = offset(levels, EchoLevel.ECHO * bins)
    scale = address_f32(w[EchoWord.MASKED])
    cross = f64(0.0)
    square = f64(0.0)
    for k in range(bins):
        e = error[k] * error[k] + error[bins + k] * error[bins + k]
        power[k] = e
        near[k] = near[k] + f32(1.0 - NEAR_KEEP) * (e - near[k])
        echoes[k] = total[k] * total[k] + total[bins + k] * total[bins + k]
        scale[k] = f32(1.0) / (spread[k] + (near[k] + f32(QUIET)) / part)
        both = echoes[k] + error[k] * total[k] + error[bins + k] * total[bins + k]
        whole = f32(2.0) * both + e + f32(QUIET)
        cross = cross + f64(both / whole)
        square = square + f64(echoes[k] / whole)
        spread[k] = spread[k] * part
    sums[EchoTotal.CROSS] = SLOPE_KEEP * sums[EchoTotal.CROSS] + cross
    sums[EchoTotal.SQUARE] = SLOPE_KEEP * sums[EchoTotal.SQUARE] + square
    # of a path that is right the slope is 1, with a near end or without
    sums[EchoTotal.SLOPE] = sums[EchoTotal.CROSS] / sums[EchoTotal.SQUARE] if sums[EchoTotal.SQUARE] > 0.0 else 1.0


@kernel
def room_update(w: i64p, own: i64p, settle: f32) -> None:
    """Kalman update of all partitions by `ERROR` and `MASKED`."""
    bins = w[EchoWord.SIZE] // 2 + 1
    count = w[EchoWord.COUNT]
    references = w[EchoWord.REFERENCES]
    error = address_f32(own[EchoWord.ERROR])
    scale = address_f32(w[EchoWord.MASKED])
    for p in range(count):
        slot = w[EchoWord.NEWEST] - w[EchoWord.DELAY] - p
        slot = slot + w[EchoWord.SLOTS] if slot < 0 else slot
        for r in range(references):
            x = address_f32(w[EchoWord.SPECTRA] + 8 * bins * (slot * references + r))
            at = p * references + r
            h = address_f32(own[EchoWord.PATH] + 8 * bins * at)
            room_update_partition(x, h, address_f32(own[EchoWord.DOUBT] + 4 * bins * at), error, scale, bins, settle)


@kernel
def room_detect_change(w: i64p, own: i64p, sums: f64p) -> None:
    """Assumes a changed room if the modelled echo no longer explains the microphone."""
    bins = w[EchoWord.SIZE] // 2 + 1
    slope = sums[EchoTotal.SLOPE]
    sums[EchoTotal.WAIT] = sums[EchoTotal.WAIT] - 1.0
    if slope > FOUND:
        sums[EchoTotal.PATIENCE] = MOVED_HOPS
    heard = sums[EchoTotal.SQUARE] * (1.0 - SLOPE_KEEP) > HEARD * f64(bins)
    if slope < MOVED and sums[EchoTotal.WAIT] <= 0.0 and heard:
        # in vain where the loudspeaker is muted: so each time later
        sums[EchoTotal.WAIT] = sums[EchoTotal.PATIENCE]
        sums[EchoTotal.PATIENCE] = min(2.0 * sums[EchoTotal.PATIENCE], MOST_HOPS)
        room_reset_variance(w, own, f32(KEPT) if slope > LOST else f32(0.0))


@kernel
def room_constrain(w: i64p, own: i64p) -> None:
    """Removes the wrapped part of some partitions, in turn."""
    size = w[EchoWord.SIZE]
    bins = size // 2 + 1
    count = w[EchoWord.COUNT]
    references = w[EchoWord.REFERENCES]
    frame = address_f32(w[EchoWord.FRAME])
    for turn in range(min(CONSTRAINED, count)):
        p = (own[EchoWord.TURN] + turn) % count
        for r in range(references):
            h = address_f32(own[EchoWord.PATH] + 8 * bins * (p * references + r))
            room_inverse_transform(w, h)
            for i in range(w[EchoWord.HOP], size):
                frame[i] = f32(0.0)
            room_spectrum(w, h)
    own[EchoWord.TURN] = (own[EchoWord.TURN] + CONSTRAINED) % count


@kernel
def room_cancel(w: i64p, own: i64p, sums: f64p, mic: f32p, out: f32p) -> None:
    """out ← a hop of the microphone without the echo, before the mask; adapts the path. `own`: words of its channel."""
    room_predict(w, own)
    room_subtract(w, own, sums, mic, out)
    room_update_levels(w, own, sums)
    room_update(w, own, f32(SETTLE))
    room_detect_change(w, own, sums)
    room_constrain(w, own)


@kernel
def room_delay_reference(w: i64p, own: i64p, sums: f64p, channels: i64, hops: i64) -> None:
    """Delays the reference by a number of hops, less those the filter keeps before it, and restarts adaptation."""
    w[EchoWord.DELAY] = max(0, hops - AHEAD_HOPS)
    sums[EchoTotal.LATE] = 1000.0 * HOP_SECONDS * f64(w[EchoWord.DELAY])
    for c in range(channels):
        room_reset_variance(w, offset(own, c * WORDS), f32(0.0))


@kernel
def room_set_known_delay(w: i64p, own: i64p, sums: f64p, channels: i64, known: f64) -> None:
    """Delays the reference by a known delay in ms, if it differs from the previous one; 0 is none."""
    if known != sums[EchoTotal.KNOWN]:
        sums[EchoTotal.KNOWN] = known
        room_delay_reference(w, own, sums, channels, i64(known / (1000.0 * HOP_SECONDS)))


@kernel
def room_hop(w: i64p, own: i64p, sums: f64p, heard: f32p, take: f32p, give: f32p, channels: i64, strength: f64) -> None:
    """give `[channels, hop]` ← take without the echo of heard `[references, hop]`; take is overwritten."""
    hop = w[EchoWord.HOP]
    words = i64(WORDS)
    room_push_reference(w, heard)
    for c in range(channels):
        mine = offset(own, c * words)
        same = 1 if c > 0 else 0
        for n in range(hop):
            same = same if take[c * hop + n] == take[n] else 0
        if same == 0 and mine[EchoWord.TWIN] == 1:
            room_copy(w, own, mine)
            for n in range(TOTALS):
                sums[c * TOTALS + n] = sums[n]
        mine[EchoWord.TWIN] = same
    for c in range(channels):
        at = channels - 1 - c
        mine = offset(own, at * words)
        out = offset(give, at * hop)
        if mine[EchoWord.TWIN] == 0:
            room_cancel(w, mine, offset(sums, at * TOTALS), offset(take, at * hop), out)
            room_mask(w, mine, offset(sums, at * TOTALS), out, strength)
    found = room_find_delay(w, own, sums)
    if found >= 0 and w[EchoWord.FIXED] == 0:
        room_delay_reference(w, own, sums, channels, found)
    for c in range(1, channels):
        if own[c * words + EchoWord.TWIN] == 1:
            for n in range(hop):
                give[c * hop + n] = give[n]


@kernel
def room_copy(w: i64p, first: i64p, own: i64p) -> None:
    """Copies the first channel's adapted state to a channel that was identical to it."""
    size = w[EchoWord.SIZE]
    bins = size // 2 + 1
    parts = w[EchoWord.COUNT] * w[EchoWord.REFERENCES]
    own[EchoWord.TURN] = first[EchoWord.TURN]
    own[EchoWord.OPEN] = first[EchoWord.OPEN]
    own[EchoWord.NOISE] = first[EchoWord.NOISE]
    for word in range(EchoWord.PATH, EchoWord.LEAKS + 1):
        count = 0
        count = 2 * parts * bins if word == EchoWord.PATH else count
        count = parts * bins if word == EchoWord.DOUBT else count
        count = LEVELS * bins if word == EchoWord.LEVELS else count
        count = size if word == EchoWord.PAST else count
        count = 2 * size + 4 if word == EchoWord.GAIN else count
        count = i64(LEAKS) if word == EchoWord.LEAKS else count
        if count > 0:
            source = address_f32(first[word])
            target = address_f32(own[word])
            for n in range(count):
                target[n] = source[n]


class CancelState(NamedTuple):
    """State of a canceller, and its buffers. `place`: frames in `take`, position in the file in frames."""

    words: i64p
    own: i64p
    sums: f64p
    heard: f32p
    take: f32p
    give: f32p
    place: i64p
    file: f32p


@kernel
def room_block(
    x: Audio, reference: Audio, y: Audio, frames: i64, mask: f32p, known: f32p, length: i64, s: CancelState
) -> None:
    """y ← x without the echo of the reference, or of a file of `length` frames, a hop later."""
    hop = s.words[EchoWord.HOP]
    for n in range(frames):
        at = s.place[0]
        place = s.place[1]
        for r in range(s.words[EchoWord.REFERENCES]):
            v = reference[r, n]
            if length > 0:
                v = f32(0.0)
                if place >= 0 and place < length:
                    v = s.file[r * length + place]
            s.heard[r * hop + at] = v if abs(v) < f32(LOUDEST) else f32(0.0)
        s.place[1] = place + 1
        for c in range(y.channels):
            v = x[c, n]
            s.take[c * hop + at] = v if abs(v) < f32(LOUDEST) else f32(0.0)
            y[c, n] = s.give[c * hop + at]
        at = at + 1
        if at == hop:
            at = 0
            room_set_known_delay(s.words, s.own, s.sums, y.channels, f64(known[n]))
            room_hop(s.words, s.own, s.sums, s.heard, s.take, s.give, y.channels, f64(mask[n]))
        s.place[0] = at


class Canceller:
    """Filters of all channels of a microphone, and the spectra of the reference.

    `words`: state of all channels; `own`: of each channel, `[channels, words]`; `sums`: `[channels, EchoTotal]`.
    """

    def __init__(self, rate: int, channels: int, references: int) -> None:
        self.hop = hop = int(HOP_SECONDS * rate)
        self.size = size = 1 << (2 * hop - 1).bit_length()
        count, bins = -(-int(FILTER_SECONDS * rate) // hop), size // 2 + 1
        slots = count + MAX_LAG
        fft = RealFft(size)
        self._shared: dict[EchoWord, F32] = {
            EchoWord.SPECTRA: np.zeros((slots, references, 2, bins), np.float32),
            EchoWord.WINDOW: np.zeros((references, size), np.float32),
            EchoWord.TOTAL: np.zeros((2, bins), np.float32),
            EchoWord.FRAME: np.zeros(size + 2, np.float32),
            EchoWord.BINS: np.zeros(size + 2, np.float32),
            EchoWord.MASKED: np.zeros(size + 2, np.float32),
            EchoWord.CHANGES: np.zeros((slots + 1, BANDS), np.float32),
            EchoWord.MEANS: np.zeros((2, BANDS), np.float32),
            EchoWord.LAGS: np.zeros(MAX_LAG, np.float32),
        }
        decay = np.exp(-np.arange(count) * HOP_SECONDS / DOUBT_SECONDS)
        first = (FIRST_DOUBT * decay).astype(np.float32)
        fixed: dict[EchoWord, F32] = {EchoWord.TURNS: fft.turns, EchoWord.WORK: fft.work, EchoWord.FIRST: first}
        self._fixed = fixed
        self.words = np.zeros(WORDS, np.int64)
        for word, value in (
            (EchoWord.HOP, hop),
            (EchoWord.SIZE, size),
            (EchoWord.COUNT, count),
            (EchoWord.SLOTS, slots),
            (EchoWord.REFERENCES, references),
        ):
            self.words[word] = value
        for word, array in {**self._shared, **fixed}.items():
            self.words[word] = address(array)
        self._own: list[dict[EchoWord, F32]] = []
        self.own = np.zeros((channels, WORDS), np.int64)
        for row in self.own:
            arrays: dict[EchoWord, F32] = {
                EchoWord.PATH: np.zeros((count, references, 2, bins), np.float32),
                EchoWord.DOUBT: np.zeros((count, references, bins), np.float32),
                EchoWord.ERROR: np.zeros((2, bins), np.float32),
                EchoWord.LEVELS: np.zeros((LEVELS, bins), np.float32),
                EchoWord.PAST: np.zeros(size, np.float32),
                EchoWord.GAIN: np.zeros((2, size + 2), np.float32),
                EchoWord.LEAKS: np.zeros(LEAKS, np.float32),
            }
            self._own.append(arrays)
            for word, array in arrays.items():
                row[word] = address(array)
        self.sums = np.zeros((channels, TOTALS), np.float64)
        self.clear()

    def clear(self) -> None:
        """Clears the spectra and the learned filters."""
        for array in self._shared.values():
            array.fill(0.0)
        for arrays in self._own:
            for array in arrays.values():
                array.fill(0.0)
            arrays[EchoWord.DOUBT][:] = self._fixed[EchoWord.FIRST][:, None, None]
            arrays[EchoWord.GAIN][:, 0::2] = 1.0
        self.words[[EchoWord.NEWEST, EchoWord.DELAY]] = 0
        self.own[:, [EchoWord.TURN, EchoWord.TWIN, EchoWord.NOISE]] = 0
        self.own[:, EchoWord.OPEN] = 2
        self.sums.fill(0.0)
        self.sums[:, EchoTotal.WAIT] = self.sums[:, EchoTotal.PATIENCE] = MOVED_HOPS
        self.sums[:, EchoTotal.SLOPE] = 1.0
