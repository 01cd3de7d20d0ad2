"""VST3 plugins by the library pedalboard, which is GPL: imported only in workers and description processes."""

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from antiphon.api import ParamError, Samples
from antiphon_host.card import ControlList, HostedControl, PluginCard
from antiphon_host.midi import MidiMessage

_RATE = 48000
_HOSTS = frozenset({"bypass", "buffer_size_frames", "sample_rate_frames", "latency_frames", "current_program"})
"""Names of parameters that the host controls."""


def _load(path: str) -> Any:
    pedalboard: Any = importlib.import_module("pedalboard")

    try:
        return pedalboard.load_plugin(path)
    except (ImportError, ValueError) as error:
        raise ParamError(f"cannot be loaded: {' '.join(str(error).split())[:300]}") from None


def card(path: str) -> PluginCard:
    """Description of one plugin. Raises ParamError: it cannot be loaded."""
    plugin = _load(path)
    controls = ControlList()
    outs = 2 if plugin.is_instrument else _channels(plugin)
    for name, param in plugin.parameters.items():
        low, high, step = (float(n) if isinstance(n, int | float) else np.nan for n in param.range)
        if name in _HOSTS or (np.isnan(low) and param.type is float):
            continue
        if not param.is_automatable and plugin.is_effect and not _changes_sound(plugin, param, outs):
            continue  # a meter
        switch = param.type is bool
        words = [str(value) for value in param.valid_values] if param.type is str else []
        points = [(word, float(n)) for n, word in enumerate(words)]
        raw = float(words.index(str(param.string_value))) if points and str(param.string_value) in words else None
        default = raw if raw is not None else float(getattr(plugin, name)) if param.type is not str else 0.0
        kind = "switch" if switch else "int" if step == 1.0 and not points else "float"
        low, high = (0.0, float(len(points) - 1)) if points else (low, high)
        told = HostedControl(name, name, kind, low, high, default, str(param.name), str(param.label or ""))
        controls.add(told, points)
    return PluginCard(
        f"vst3:{path}", str(plugin.name), str(plugin.manufacturer_name), "", outs * int(plugin.is_effect), outs, 0,
        bool(plugin.is_instrument), 0, path, tuple(controls.found), {},
    )  # fmt: skip


def _channels(plugin: Any) -> int:
    """Channel count of an effect, found by pedalboard's refusals."""
    for channels in (2, 1):
        try:
            plugin.process(np.zeros((channels, 256), np.float32), _RATE, reset=True)
            return channels
        except ValueError as error:
            why = " ".join(str(error).split())[:200]
    raise ParamError(f"takes neither two channels nor one: {why}")


def _changes_sound(plugin: Any, param: Any, channels: int) -> bool:
    """Whether noise sounds otherwise at one of a parameter's ends: pedalboard does not say which are written only."""
    noise = np.random.default_rng(1).normal(0.0, 0.1, (channels, _RATE // 10)).astype(np.float32)
    before, heard = param.raw_value, []
    for value in (before, 0.0, 1.0):
        param.raw_value = value
        heard.append(plugin.process(noise, _RATE, buffer_size=256, reset=True))
    param.raw_value = before
    return any(not np.array_equal(one, heard[0]) for one in heard)


class Vst3Instance:
    """A VST3 instance; see `HostedInstance`. Frames that pedalboard leaves out at the start are silent here."""

    def __init__(self, card: PluginCard, rate: int, hop: int) -> None:
        self._plugin = _load(card.library)
        self._rate, self._hop = rate, hop
        self._words = {control.key: control.choices for control in card.controls if control.kind == "choice"}
        self._switches = {control.key for control in card.controls if control.kind == "switch"}
        self.x: Samples = np.zeros((card.ins, hop), np.float32)
        self.y: Samples = np.zeros((card.outs, hop), np.float32)

    @property
    def latency(self) -> int:
        """Latency in frames as reported by the plugin."""
        return int(self._plugin.reported_latency_samples)

    def set(self, key: int | str, value: float) -> None:
        """Sets a parameter."""
        words = self._words.get(key)
        setattr(self._plugin, str(key), words[int(value)] if words else value > 0.5 if key in self._switches else value)

    def run(self, messages: Sequence[MidiMessage]) -> None:
        """Computes a hop of `x` into `y`."""
        if len(self.x):
            out = self._plugin.process(self.x, self._rate, buffer_size=self._hop, reset=False)
        else:
            notes = [(data, frame / self._rate) for frame, data in messages]
            out = self._plugin(
                notes, duration=self._hop / self._rate, sample_rate=self._rate, num_channels=len(self.y),
                buffer_size=self._hop, reset=False,
            )  # fmt: skip
        lacking = max(0, self._hop - out.shape[1])
        self.y[:, :lacking] = 0.0
        self.y[:, lacking:] = out[:, -self._hop :]

    def save(self) -> bytes:
        """State as returned by pedalboard."""
        return bytes(self._plugin.raw_state)

    def load(self, data: bytes) -> None:
        """Restores a state."""
        self._plugin.raw_state = data

    def close(self) -> None:
        """Destroys the plugin's instance."""
        self._plugin.reset()
