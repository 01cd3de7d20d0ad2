"""How much of a reduction is applied: in each band as much as is trusted to take noise."""

from __future__ import annotations

from antiphon.api.kernels import f32, f32p, i64, i64p, kernel


@kernel
def denoise_trust(gain: f32p, bins: i64, below: i64p, fraction: f32p, trust: f32p) -> None:
    """gain `[bins]` ← nearer to 1 by the `trust` in each band, `[COUNT]`.

    below, fraction: the band centre below each bin, and how far the bin lies towards the next, 0 to 1.
    """
    for k in range(bins):
        share = (f32(1.0) - fraction[k]) * trust[below[k]] + fraction[k] * trust[below[k] + 1]
        gain[k] = f32(1.0) - share * (f32(1.0) - gain[k])
