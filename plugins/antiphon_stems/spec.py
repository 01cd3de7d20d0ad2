"""Network of the node as plain data: from the power of a hop's units to their shares of three stems."""

from __future__ import annotations

from antiphon.api.backends.models import ModelInfo
from antiphon_stems.grids import LIVE, STEMS

FILE_WEIGHTS, VOICE_WEIGHTS = "stems-file", "stems-voice"
LIVE_MODEL = ModelInfo(
    name="stems-live",
    network="antiphon_models.stems.streaming:StreamStems",
    array_network="antiphon_stems.network:LiveNetwork",
    weights="stems-live",
    plugin="stems",
    hop=LIVE.units,
    answer=LIVE.units,
    frames=LIVE.hop,
    slots=1,
    inputs=2,
    outputs=len(STEMS) - 1,
)


def live() -> ModelInfo:
    """Model of mode `learned`."""
    return LIVE_MODEL
