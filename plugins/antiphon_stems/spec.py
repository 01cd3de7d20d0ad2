"""The network of the node as plain data: from the power of a hop's units to shares of three stems in them."""

from __future__ import annotations

from antiphon.api.backends.models import ModelInfo
from antiphon_stems.grids import LIVE, STEMS

FILE_WEIGHTS = "stems-file"
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
    """The model of mode `learned`."""
    return LIVE_MODEL
