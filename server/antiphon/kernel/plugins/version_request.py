"""Plain-data requests of control to the check of a plugin's version: control imports nothing that loads plugins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from antiphon.kernel.contract.params import Value

CHECK_LIMIT = 5.0
"""Maximum seconds for a third-party plugin to import and pass its check."""
BEGUN = {"begun": True}
"""Message sent before the plugin is imported; the time limit starts there."""


@dataclass(frozen=True, slots=True)
class VersionCheck:
    """Request to check one version of a plugin."""

    folder: str
    plugin: str
    rate: int
    block: int
    channels: int
    nodes: tuple[tuple[str, Mapping[str, Value]], ...] = ()
    limit: float = CHECK_LIMIT  # seconds, from the beginning of the import

    def to_json(self) -> dict[str, Any]:
        """The request's fields as JSON values."""
        return asdict(self)
