"""The processor `transfer`: the notes of the input with the timbre of a reference, hop by hop."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from antiphon.api import IO, FileUse, Param, Processor, Step, StreamSpec
from antiphon_transfer.stream import LevelFollower, Overlap, PeakLimiter, grid, read

if TYPE_CHECKING:
    from antiphon_transfer.envelope import EnvelopeMethod
    from antiphon_transfer.instrument import InstrumentPlayer
    from antiphon_transfer.wavelet import WaveletMethod


class Transfer(Processor):
    """Keeps rhythm, tempo and pitch of the input and gives it the timbre of the reference.

    Hops are counted from the last `reset`, and a hop reads `amount` at its last sample, so any split into blocks gives
    the same samples. Without a reference the input passes, `latency` frames later.
    """

    on_files = FileUse(
        needs=("reference",),
        exempt=("mode=instrument",),
        idle=(
            *(f"{name} mode={mode}" for name in ("instrument", "decoder") for mode in ("envelope", "wavelet")),
            "reference mode=instrument",
        ),
        changes=("level",),
        stem="stem",
    )
    params: ClassVar[tuple[Param, ...]] = (
        Param(
            "mode",
            "choice",
            "envelope",
            choices=("envelope", "wavelet", "instrument"),
            restart=True,
            doc="Envelope by note and level, levels of wavelet bands, or a learned instrument that plays one voice.",
        ),
        Param(
            "reference",
            "file",
            "",
            holds="a sound file",
            doc="Reference sound of the timbre; without one the input passes.",
        ),
        Param(
            "instrument",
            "text",
            "cello",
            doc="Of mode=instrument: cello, clarinet, flute, saxophone, trumpet, violin, or one of your own.",
        ),
        Param(
            "decoder",
            "file",
            "",
            holds="a file of antiphon train timbre",
            doc="A file of antiphon train timbre, instead of instrument.",
        ),
        Param("amount", default=1.0, low=0.0, high=1.0, doc="Share of the change to the reference's timbre."),
        Param(
            "stem",
            "choice",
            "all",
            choices=("all", "drums", "bass", "voice", "other"),
            doc="Of a file: the part of a song that is changed; the others stay. Live, wire `stems` before it.",
        ),
    )

    def prepare(self, spec: StreamSpec) -> None:
        """Reads and analyses the reference. The latency is the power of two nearest to 46 ms.

        In mode instrument the instrument is read instead, and the latency is 35 ms at 48 kHz. Raises FileError: the
        reference cannot be read, is silent, or is shorter than the latency; or there is no such instrument.
        """
        self._player: InstrumentPlayer | None = None
        if self.settings["mode"] == "instrument":
            from antiphon_transfer.instrument import InstrumentPlayer, read as read_instrument

            arrays = read_instrument(str(self.settings["instrument"]), str(self.settings["decoder"]))
            self._player = InstrumentPlayer(arrays, spec.rate, spec.channels)
            self.latency, self._place = self._player.latency, self._player.place
            return
        sizes = grid(spec.rate)
        self.latency = sizes.size
        self._overlap = Overlap(sizes, spec.channels)
        self._place = self._overlap.place
        self._level, self._limiter = LevelFollower(sizes, spec.channels), PeakLimiter(sizes, spec.channels)
        self._method: EnvelopeMethod | WaveletMethod | None = None
        path = str(self.settings["reference"])
        if not path:
            return
        samples = read(path, sizes)
        # imports only the mode in use
        if self.settings["mode"] == "envelope":
            from antiphon_transfer.envelope import EnvelopeMethod

            self._method = EnvelopeMethod(samples, sizes, spec.channels)
        else:
            from antiphon_transfer.wavelet import WaveletMethod

            self._method = WaveletMethod(samples, sizes, spec.channels)

    def reset(self) -> None:
        """Clears the input; the reference stays."""
        if self._player is not None:
            self._player.reset()
            return
        self._overlap.clear()
        self._level.reset()
        self._limiter.reset()
        if self._method is not None:
            self._method.reset()

    def process(self, io: IO) -> None:
        sound, out, done = io.audio_in[0], io.audio_out[0], 0
        while done < io.frames:
            if self._player is not None:
                done = self._player.take(sound, out, done)
                if self._player.full:
                    self._player.step(float(io.at("amount", done - 1)))
                continue
            done = self._place.swap(sound, *self._overlap.hops, out, done)
            if self._place.frames == self._place.hop:
                self._transfer_frame(float(io.at("amount", done - 1)))
        self._place.until()

    def _transfer_frame(self, amount: float) -> None:
        overlap = self._overlap
        if self._method is None:
            overlap.skip()
            return
        frame = overlap.frame()
        made = self._method.run(frame, amount)
        self._level.scale(frame, made)
        overlap.add(made, self._limiter.apply)

    def step(self, io: IO) -> Step:
        """Step of a block within a hop."""
        sound, out = io.audio_in[0], io.audio_out[0]
        if self._player is not None:
            return self._player.block(sound, out)
        return self._place.step(sound, *self._overlap.hops, out)
