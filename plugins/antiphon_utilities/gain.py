"""A level."""

from __future__ import annotations

import numpy as np

from antiphon.api import IO, Param, Processor


class Gain(Processor):
    """Multiplies the sound."""

    params = (
        Param("gain", default=1.0, low=0.0, high=2.0, smooth=0.004, doc="Factor: 1 changes nothing, 0 is silence."),
    )

    def process(self, io: IO) -> None:
        np.multiply(io.audio_in[0], io.curve("gain"), out=io.audio_out[0])
