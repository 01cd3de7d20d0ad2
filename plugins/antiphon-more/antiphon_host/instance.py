"""Interface of a running plugin, for all formats."""

from collections.abc import Sequence
from typing import Protocol

from antiphon.api import Samples
from antiphon_host.card import PluginCard
from antiphon_host.midi import MidiMessage


class HostedInstance(Protocol):
    """A running third-party plugin. `latency`: frames, after a run."""

    x: Samples  # float32 `[ins + side, hop]`, read by `run`
    y: Samples  # float32 `[outs, hop]`, written by `run`

    @property
    def latency(self) -> int: ...

    def set(self, key: int | str, value: float) -> None:
        """Sets a control to the plugin's own number, from the next run on."""

    def run(self, messages: Sequence[MidiMessage]) -> None:
        """Computes a hop."""

    def save(self) -> bytes:
        """State beyond the controls; empty without one."""

    def load(self, data: bytes) -> None:
        """Restores the result of `save`. Raises ParamError or another exception: the plugin rejects it."""

    def close(self) -> None:
        """Destroys the plugin's instance."""


def instance_of(card: PluginCard, rate: int, hop: int) -> HostedInstance:
    """Loads a plugin. Raises ParamError: it cannot be created. Raises ModuleNotFoundError: an extra is missing."""
    if card.address.startswith("clap:"):
        from antiphon_host.clap import ClapInstance

        return ClapInstance(card, rate, hop)
    if card.address.startswith("vst3:"):
        from antiphon_host.vst3 import Vst3Instance

        return Vst3Instance(card, rate, hop)
    from antiphon_host.lv2 import Lv2Instance

    return Lv2Instance(card, rate, hop)
