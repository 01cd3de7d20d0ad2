"""The graph's two ends as nodes: `in` and `out`, the performer's own levels, which no patch changes.

They answer to addresses as nodes do, `/node/in/gain`, `/node/out/gain`, `/node/out/mute`: learned, ramped, sent by
MQTT like any other. They belong to the server: another patch leaves them where they are.
"""

from __future__ import annotations

from antiphon.contract.catalog import ProcessorInfo
from antiphon.contract.params import Param
from antiphon.contract.ports import AUDIO_IN, AUDIO_OUT
from antiphon.graph.graph import IN, OUT

IN_NUMBER, OUT_NUMBER = -1, -2
"""Their numbers among the nodes; those of a patch count from 1."""
SILENCE = -60.0
"""dB at and below which nothing is heard."""
CLIPPED = 0.9999
"""Magnitude from which an input counts as clipped."""
PARAMS = (
    Param("gain", default=0.0, low=SILENCE, high=24.0, unit="dB", smooth=0.02, doc="Louder or softer; -60 is silence."),
)


def _info(name: str, doc: str) -> ProcessorInfo:
    return ProcessorInfo(name, doc, "antiphon", (AUDIO_IN,), (AUDIO_OUT,), PARAMS)


ENDS = {
    IN: (IN_NUMBER, _info(IN, "What comes in, before the patch.")),
    OUT: (OUT_NUMBER, _info(OUT, "What goes out, behind the patch: the master volume.")),
}
"""Name → number and declaration."""
