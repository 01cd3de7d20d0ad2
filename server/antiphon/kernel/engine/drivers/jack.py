"""JACK driver, by JACK-Client, with the native process callback. JACK decides its rate and period."""

from antiphon.kernel.engine.callback import CallbackWord, jack_process
from antiphon.kernel.engine.drivers.base import DriverOptions
from antiphon.kernel.engine.drivers.device import CallbackDriver, device_state, least_blocks_ahead
from antiphon.kernel.errors import EngineError
from antiphon.kernel.runtime.platform import ring
from antiphon.native.compiling import compile_all


class JackDriver(CallbackDriver):
    """JACK client named `options.name`, connected to the named ports, or to the physical ones by default."""

    name = "jack"

    def __init__(self, options: DriverOptions) -> None:
        import jack

        try:
            client = jack.Client(options.name, no_start_server=True, servername=options.server or None)
        except jack.JackError as error:
            raise EngineError(
                "no JACK server answers; start one (jackd -d dummy, or -d alsa), or take portaudio or headless"
            ) from error
        compile_all()
        self._client, self._jack = client, jack
        try:
            self._open(options)
        except Exception as error:
            client.close(ignore_errors=True)  # its callback must not outlive the state
            if hasattr(self, "state"):
                self.state.close()
            if isinstance(error, EngineError):
                raise
            raise EngineError(f"JACK refused: {error}") from error

    def _open(self, options: DriverOptions) -> None:
        client, jack = self._client, self._jack
        period, rate, channels = client.blocksize, client.samplerate, options.channels
        state = device_state(options, channels, options.room, rate, period)
        super().__init__(state, options.rate, options.block, channels, state.view[CallbackWord.AHEAD])
        self.device_rate, self.device_block = rate, period
        self._ins = [client.inports.register(f"in_{n + 1}") for n in range(channels)]
        self._outs = [client.outports.register(name) for name in options.outs]
        ffi, lib = jack._ffi, jack._lib
        state.words[CallbackWord.PORT_BUFFER] = int(ffi.cast("uintptr_t", lib.jack_port_get_buffer))
        state.words[CallbackWord.FRAME_CLOCK] = int(ffi.cast("uintptr_t", lib.jack_last_frame_time))
        state.words[CallbackWord.CLIENT] = int(ffi.cast("uintptr_t", client._ptr))
        for n, port in enumerate(self._ins):
            state.words[CallbackWord.PORTS_IN + n] = int(ffi.cast("uintptr_t", port._ptr))
        for n, port in enumerate(self._outs):
            state.words[CallbackWord.PORTS_OUT + n] = int(ffi.cast("uintptr_t", port._ptr))
        callback = ffi.cast("JackProcessCallback", jack_process.address)
        if lib.jack_set_process_callback(client._ptr, callback, ffi.cast("void*", state.address)):
            raise EngineError("JACK refused the process callback")
        self._down = False
        self._options = options
        client.set_xrun_callback(self._on_xrun)
        client.set_shutdown_callback(self._on_shutdown)
        client.set_blocksize_callback(self._on_period)
        client.activate()
        self._wire(options)
        self.latency = 2 * period * options.rate // rate
        self.on_idle = lambda: not self._down

    def add_port(self, name: str) -> None:
        """Registers one more output port while the device runs. Raises EngineError: JACK refuses it."""
        try:
            port = self._client.outports.register(name)
        except self._jack.JackError as error:
            raise EngineError(f"JACK refused the port {name}: {error}") from error
        # the callback plays a channel from the moment at which it has the port
        self.state.view[CallbackWord.PORTS_OUT + len(self._outs)] = int(self._jack._ffi.cast("uintptr_t", port._ptr))
        self._outs.append(port)

    def rename_port(self, row: int, name: str) -> None:
        """Gives a registered output port another name; who is connected stays. Raises EngineError: JACK refuses it."""
        try:
            self._outs[row].shortname = name
        except self._jack.JackError as error:
            raise EngineError(f"JACK refused the name {name}: {error}") from error

    def _on_xrun(self, _microseconds: float) -> None:
        self.state.view[CallbackWord.XRUNS] += 1

    def _on_period(self, frames: int) -> None:
        # PipeWire changes it as clients come and go: what the slots do not carry is opened anew
        if least_blocks_ahead(self._options, self.device_rate, frames, self.state.view[CallbackWord.AT]) > self.ahead:
            self._give_up()

    def _on_shutdown(self, _status: object, _reason: object) -> None:
        self._down = True
        self._give_up()
        ring(self.state.bell)

    def _wire(self, options: DriverOptions) -> None:
        client = self._client
        sources = client.get_ports(options.input, is_audio=True, is_output=True, is_physical=not options.input)
        sinks = client.get_ports(options.output, is_audio=True, is_input=True, is_physical=not options.output)
        if options.input and not sources:
            raise EngineError(f"JACK has no output port like {options.input!r}; `antiphon devices` lists them")
        if options.output and not sinks:
            raise EngineError(f"JACK has no input port like {options.output!r}; `antiphon devices` lists them")
        for n, port in enumerate(self._ins):
            if sources:
                client.connect(sources[min(n, len(sources) - 1)], port)
        for port, sink in zip(self._outs, sinks, strict=False):
            client.connect(port, sink)

    def stop(self) -> None:
        if not self._down:
            self.drain()
            self._client.close(ignore_errors=True)
        super().stop()
