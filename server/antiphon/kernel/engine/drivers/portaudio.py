"""PortAudio driver, by sounddevice, with the native stream callback."""

from contextlib import ExitStack, suppress
from typing import Any

from antiphon.kernel.engine.callback import CallbackWord, portaudio_process
from antiphon.kernel.engine.drivers.base import OF_OUTPUT, DriverOptions
from antiphon.kernel.engine.drivers.device import CallbackDriver, device_state
from antiphon.kernel.errors import EngineError
from antiphon.native.compiling import compile_all


class PortAudio(CallbackDriver):
    """PortAudio stream between the devices `options.input` and `options.output`; "none" omits one of them."""

    name = "portaudio"

    def __init__(self, options: DriverOptions) -> None:
        sd = load_library()
        rate, block = options.device_rate or options.rate, options.device_block or options.block
        with ExitStack() as opened:
            opened.callback(sd._terminate)  # it would hold JACK's library, and the list of devices as it was
            try:
                self._open(sd, options, rate, block, opened)
            except EngineError:
                raise
            except Exception as error:
                raise EngineError(
                    f"the audio device would not start at {rate} Hz, {block} frames: {error}; "
                    "it may be busy or not take that rate: try another with --output, or --rate"
                ) from error
            self._opened = opened.pop_all()

    def _open(self, sd: Any, options: DriverOptions, rate: int, block: int, opened: ExitStack) -> None:
        device_in, device_out = device_indices(sd, options.input, options.output, rate)
        channels_in = _channels(sd, device_in, "max_input_channels", options.channels)
        channels_out = _channels(sd, device_out, "max_output_channels", len(options.outs))
        compile_all()
        state = device_state(options, channels_in, channels_out, rate, block)
        opened.callback(state.close)
        super().__init__(state, options.rate, options.block, options.channels, state.view[CallbackWord.AHEAD])
        self.device_rate, self.device_block = rate, block
        self._finished = False
        kind, device, channels = _shape(device_in, device_out, channels_in, channels_out)
        ffi = sd._ffi
        stream = sd._StreamBase(
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
        opened.callback(stream.close)
        stream.start()
        total = sum(stream.latency) if isinstance(stream.latency, tuple) else stream.latency
        self.latency = round(total * options.rate)
        self.on_idle = lambda: not self._finished and bool(stream.active)

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
        self._opened.close()


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


def device_indices(sd: Any, given: str, output: str, rate: int) -> tuple[int | None, int | None]:
    """Device indices of input and output, at least one; `given`: name of the input device, or `OF_OUTPUT`."""
    o, i = find(sd, output, "output"), None
    if given == OF_OUTPUT:
        with suppress(Exception):
            found = find(sd, output, "input")
            sd.check_input_settings(device=found, samplerate=rate, dtype="float32")
            i = found
    else:
        i = find(sd, given, "input")
    if i is None and o is None:
        raise EngineError("PortAudio finds no audio device; plug one in, or take headless, the software clock")
    return i, o


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


def _shape(i: int | None, o: int | None, channels_in: int, channels_out: int) -> tuple[str, Any, Any]:
    if i is None:
        return "output", o, channels_out
    if o is None:
        return "input", i, channels_in
    return "duplex", (i, o), (channels_in, channels_out)
