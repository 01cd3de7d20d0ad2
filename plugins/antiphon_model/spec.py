"""What the reference model says of itself, without torch."""

from __future__ import annotations

from antiphon.api.backends.models import ModelInfo

REFERENCE = ModelInfo(
    name="reference",
    network="antiphon_models.model.network:Reference",
    array_network="antiphon_model.network:ArrayReference",
    weights="reference",
    plugin="model",
)


def reference() -> ModelInfo:
    """The factory of `antiphon_models`."""
    return REFERENCE
