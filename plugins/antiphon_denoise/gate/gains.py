"""The gate's arithmetic in each bin: from power, its smoothed logarithms and the network's coefficients to a gain.

All levels are natural logarithms of power; white noise of variance 1 has power 1 in every bin.
"""

from __future__ import annotations

from antiphon.api.kernels import f32, f32p, i64, i64p, kernel

QUIET = 1e-10
"""The least power of a bin."""
_SHORT, _LONG = 0.6, 0.97


@kernel
def denoise_power(spectrum: f32p, channels: i64, bins: i64, unit: f32, power: f32p) -> None:
    """power `[bins]` ← squared magnitude of complex `[channels, bins]`, summed over channels, times unit."""
    for k in range(bins):
        power[k] = f32(QUIET)
    for c in range(channels):
        at = 2 * c * bins
        for k in range(bins):
            re = spectrum[at + 2 * k]
            im = spectrum[at + 2 * k + 1]
            power[k] = power[k] + (re * re + im * im) * unit


@kernel
def denoise_smooth_log_power(log_power: f32p, short: f32p, long: f32p, bins: i64) -> None:
    """Smooths log power `[bins]` with time constants of some 30 ms (short) and 400 ms (long), in place."""
    for k in range(bins):
        short[k] = f32(_SHORT) * short[k] + f32(1.0 - _SHORT) * log_power[k]
        long[k] = f32(_LONG) * long[k] + f32(1.0 - _LONG) * log_power[k]


@kernel
def denoise_gate_logits(
    log_power: f32p, short: f32p, long: f32p, noise: f32p, level: f32p, coefficients: f32p,
    edge: i64p, fraction: f32p, bands: i64, known: f32, ceiling: f32, gate_logit: f32p, floor_logit: f32p,
) -> None:  # fmt: skip
    """gate_logit, floor_logit `[bins]` ← negated logits of each bin's opening and of its lowest gain, within ±30.

    log_power, short, long, noise: `[bins]` log power of the frame, smoothed over some 30 and 400 ms, and of the learned
    noise, used where `known` is 1. level: `[bands]` that of the frame's bands. coefficients: `[6, bands]` output of the
    network, interpolated between band centres: constant, weights of the four, and logit of the lowest gain. edge:
    `[bands]` first bin above each centre. ceiling: log power above which a band is not attenuated.
    """
    for b in range(bands - 1):
        constant_slope = coefficients[b + 1] - coefficients[b]
        now = coefficients[bands + b]
        now_slope = coefficients[bands + b + 1] - now
        short_term = coefficients[2 * bands + b]
        short_term_slope = coefficients[2 * bands + b + 1] - short_term
        long_term = coefficients[3 * bands + b]
        long_term_slope = coefficients[3 * bands + b + 1] - long_term
        learned = known * coefficients[4 * bands + b]
        learned_slope = known * coefficients[4 * bands + b + 1] - learned
        floor = coefficients[5 * bands + b]
        floor_slope = coefficients[5 * bands + b + 1] - floor
        constant = coefficients[b]
        level_below = level[b]
        level_slope = level[b + 1] - level_below
        for k in range(edge[b], edge[b + 1]):
            up = fraction[k]
            band_level = level_below + up * level_slope
            logit = constant + up * constant_slope
            logit = logit + (now + up * now_slope) * (log_power[k] - band_level)
            logit = logit + (short_term + up * short_term_slope) * (short[k] - band_level)
            logit = logit + (long_term + up * long_term_slope) * (long[k] - band_level)
            logit = logit + (learned + up * learned_slope) * max(min(noise[k] - band_level, f32(4.0)), f32(-8.0))
            logit = logit + max(f32(2.0) * (band_level - ceiling), f32(0.0))
            gate_logit[k] = max(min(-logit, f32(30.0)), f32(-30.0))
            floor_logit[k] = max(min(-(floor + up * floor_slope), f32(30.0)), f32(-30.0))


@kernel
def denoise_gain(gate_exp: f32p, floor_exp: f32p, bins: i64, gain: f32p) -> None:
    """gain `[bins]` ← floor + (1 - floor) * opening, given the exponentials of `denoise_gate_logits`' two results."""
    for k in range(bins):
        floor = f32(1.0) / (f32(1.0) + floor_exp[k])
        gain[k] = floor + (f32(1.0) - floor) / (f32(1.0) + gate_exp[k])


@kernel
def denoise_removed_power(power: f32p, gain: f32p, bins: i64) -> f32:
    """Mean over bins of the power that the gain removes: power * (1 - gain)²."""
    total = f32(0.0)
    for k in range(bins):
        removed = f32(1.0) - gain[k]
        total = total + power[k] * removed * removed
    return total / f32(bins)


@kernel
def denoise_trust(gain: f32p, bins: i64, below: i64p, fraction: f32p, trust: f32p) -> None:
    """gain `[bins]` ← nearer to 1 by the `trust` in each band, `[COUNT]`.

    below, fraction: the band centre below each bin, and how far the bin lies towards the next, 0 to 1.
    """
    for k in range(bins):
        share = (f32(1.0) - fraction[k]) * trust[below[k]] + fraction[k] * trust[below[k] + 1]
        gain[k] = f32(1.0) - share * (f32(1.0) - gain[k])
