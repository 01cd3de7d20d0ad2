"""PortAudio driver, by sounddevice, with the native stream callback."""

from __future__ import annotations

from typing import Any

from antiphon.kernel.engine.callback import Slot, portaudio_process
from antiphon.kernel.engine.drivers.base import DriverOptions
from antiphon.kernel.engine.drivers.device import CallbackDriver, device_state
from antiphon.kernel.errors import EngineError
from antiphon.kernel.native import compile_all


class PortAudio(CallbackDriver):
    """PortAudio stream between the devices `options.input` and `options.output`; "none" omits one of them."""

    name = "portaudio"

    def __init__(self, options: DriverOptions) -> None:
        sd = self._library = load_library()
        device_in, device_out = find(sd, options.input, "input"), find(sd, options.output, "output")
        if device_in is None and device_out is None:
            raise EngineError("PortAudio finds no audio device; plug one in, or use --audio headless")
        channels_in = _channels(sd, device_in, "max_input_channels", options.channels)
        channels_out = _channels(sd, device_out, "max_output_channels", len(options.outs))
        compile_all()
        rate, block = options.device_rate or options.rate, options.device_block or options.block
        state = device_state(options, channels_in, channels_out, rate, block)
        super().__init__(state, options.rate, options.block, options.channels, state.view[Slot.AHEAD])
        self.device_rate, self.device_block = rate, block
        self._finished = False
        kind, device, channels = _sides(device_in, device_out, channels_in, channels_out)
        ffi = sd._ffi
        try:
            self._stream = sd._StreamBase(
                kind=kind,
                samplerate=rate,
                blocksize=block,
                device=device,
                channels=channels,
                dtype="float32",
                latency="low",
                callback=ffi.cast("PaStreamCallback*", portaudio_process.address),
                userdata=ffi.cast("void*", state.address),
                finished_callback=self._on_finished,
            )
            self._stream.start()
        except sd.PortAudioError as error:
            state.close()
            raise EngineError(
                f"the audio device would not start at {rate} Hz, {block} frames: {error}; "
                "it may be busy or not take that rate: try another with --output, or --rate"
            ) from error
        latency = self._stream.latency
        total = sum(latency) if isinstance(latency, tuple) else latency
        self.latency = round(total * options.rate)
        self.on_idle = lambda: not self._finished and bool(self._stream.active)

    def _on_finished(self) -> None:
        self._finished = True

    def input(self, block: int) -> Any:
        x = super().input(block)
        if x.shape[0] == self.channels:
            return x
        # a mono microphone goes to all channels
        return x[[min(c, x.shape[0] - 1) for c in range(self.channels)]]

    def stop(self) -> None:
        self.drain()
        self._stream.abort(ignore_errors=True)
        self._stream.close(ignore_errors=True)
        self._library._terminate()  # it would hold JACK's library, and the list of devices as it was
        super().stop()


def load_library() -> Any:
    """Imports sounddevice. Raises EngineError, with how to install it, when the PortAudio library is missing."""
    try:
        import sounddevice
    except OSError as error:
        raise EngineError(
            "the PortAudio library is missing; install it with: sudo apt-get install libportaudio2"
        ) from error
    if not sounddevice._initialized:
        sounddevice._initialize()
    return sounddevice


def find(sd: Any, name: str, side: str) -> int | None:
    """Device index by index or part of its name, "" the default, for `side` "input" or "output"; None for "none"."""
    if name == "none":
        return None
    key = f"max_{side}_channels"
    devices = sd.query_devices()
    if name:
        if name.isdigit() and int(name) < len(devices) and devices[int(name)][key] > 0:
            return int(name)
        named = [d["index"] for d in devices if name.lower() in d["name"].lower() and d[key] > 0]
        if not named:
            raise EngineError(f"there is no {side} device like {name!r}; `antiphon devices` lists them")
        return int(named[0])
    default = sd.default.device[0 if side == "input" else 1]
    if default >= 0:
        return int(default)
    return next((int(d["index"]) for d in devices if d[key] > 0), None)


def _channels(sd: Any, device: int | None, key: str, wanted: int) -> int:
    return 0 if device is None else min(wanted, int(sd.query_devices(device)[key]))


def _sides(i: int | None, o: int | None, channels_in: int, channels_out: int) -> tuple[str, Any, Any]:
    if i is None:
        return "output", o, channels_out
    if o is None:
        return "input", i, channels_in
    return "duplex", (i, o), (channels_in, channels_out)
