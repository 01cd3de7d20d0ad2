"""Location of the benches in the lab's wheel; an editable installation reads them in place."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class BenchesHook(BuildHookInterface[Any]):
    """Adds `bench/antiphon_bench` to a wheel that is not editable."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Adds the folder; not in an editable wheel, where a copy would be imported in its place, and grow stale."""
        if version == "standard":
            build_data["force_include"]["../bench/antiphon_bench"] = "antiphon_bench"
