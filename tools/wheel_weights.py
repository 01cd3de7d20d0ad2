"""Adds the weights to the wheel of a plugins' distribution; an editable installation reads them in place."""

import tomllib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

WEIGHTS = Path(__file__).parents[1] / "models" / "weights"
NOTICES = {
    "basic-pitch": "hum", "beatnet": "follow", "crema": "listen", "deepfilternet": "denoise", "musicnn": "classify",
    "spleeter": "stems",
}  # fmt: skip
"""Plugins with third-party weights, by the suffix of their licence's file."""


class WeightsHook(BuildHookInterface[Any]):
    """Adds the weights of a distribution's plugins to a wheel that is not editable."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Adds them beside the manifest, which is in the wheel of `antiphon`."""
        if version == "standard":
            own = {place.name.removeprefix("antiphon_") for place in Path(self.root).glob("antiphon_*")}
            rows = tomllib.loads((WEIGHTS / "manifest.toml").read_text("utf-8")).values()
            files = [row["file"] for row in rows if row["plugin"] in own]
            files += [f"LICENSE.{notice}" for notice, plugin in NOTICES.items() if plugin in own]
            for file in files:
                build_data["force_include"][str(WEIGHTS / file)] = f"antiphon/data/models/weights/{file}"
