"""Conversion of sound to another number of channels."""

from __future__ import annotations

import numpy as np

from antiphon.kernel.contract.block import Samples


def convert_channels(given: Samples, into: Samples) -> None:
    """Converts sound to another number of channels.

    Mono goes to all channels, several channels are averaged to one; otherwise surplus channels are dropped, and
    channels that are missing are silent. `given`: float32 `[any, frames]`. `into`: float32 `[channels, frames]`,
    written.
    """
    have, want = given.shape[0], into.shape[0]
    if have == 1 or have == want:
        into[:] = given
    elif want == 1:
        np.add(given[0], given[1], out=into[0])
        for row in given[2:]:
            np.add(into[0], row, out=into[0])
        np.multiply(into[0], np.float32(1.0 / have), out=into[0])
    else:
        both = min(have, want)
        into[:both] = given[:both]
        into[both:] = 0.0
