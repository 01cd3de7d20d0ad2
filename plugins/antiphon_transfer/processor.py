"""The processor `transfer`: the notes of the input with the timbre of a reference, hop by hop."""

from __future__ import annotations

from typing import ClassVar

from antiphon.api import IO, FileUse, Param, Processor, StreamSpec
from antiphon_transfer.level import LevelFollower, PeakLimiter
from antiphon_transfer.method import TransferMethod
from antiphon_transfer.reference import read
from antiphon_transfer.stream import Overlap, grid

MODES = ("envelope", "nmf", "wavelet")


class Transfer(Processor):
    """Keeps rhythm, tempo and pitch of the input and gives it the timbre of the reference.

    Hops are counted from the last `reset`, and a hop reads `amount` at its own last sample: any split into blocks gives
    the same samples. Without a reference the input passes, `latency` frames later.
    """

    on_files = FileUse(needs=("reference",), changes=("level",))
    params: ClassVar[tuple[Param, ...]] = (
        Param(
            "mode",
            "choice",
            "envelope",
            choices=MODES,
            restart=True,
            doc="Envelope by note and level, spectra mixed from the reference, or levels of wavelet bands.",
        ),
        Param("reference", "file", "", doc="Reference sound of the timbre; without one the input passes."),
        Param("amount", default=1.0, low=0.0, high=1.0, doc="Share of the change to the reference's timbre."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        """Reads the reference and learns from it. The latency is the power of two nearest to 46 ms.

        Raises:
            FileError: The reference cannot be read, is silent, or is shorter than that.
        """
        sizes = grid(spec.rate)
        self.latency = sizes.size
        self._overlap = Overlap(sizes, spec.channels)
        self._level, self._limiter = LevelFollower(sizes, spec.channels), PeakLimiter(sizes, spec.channels)
        self._method: TransferMethod | None = None
        path = str(self.settings["reference"])
        if not path:
            return
        samples = read(path, sizes)
        # imports only the mode in use
        match self.settings["mode"]:
            case "envelope":
                from antiphon_transfer.envelope import EnvelopeMethod

                self._method = EnvelopeMethod(samples, sizes, spec.channels)
            case "nmf":
                from antiphon_transfer.nmf import NmfMethod

                self._method = NmfMethod(samples, sizes, spec.channels)
            case _:
                from antiphon_transfer.wavelet import WaveletMethod

                self._method = WaveletMethod(samples, sizes, spec.channels)

    def reset(self) -> None:
        """Clears the input; the reference stays."""
        self._overlap.clear()
        self._level.reset()
        self._limiter.reset()
        if self._method is not None:
            self._method.reset()

    def process(self, io: IO) -> None:
        sound, out = io.audio_in[0], io.audio_out[0]
        overlap = self._overlap
        done = 0
        while done < io.frames:
            end = done + min(io.frames - done, overlap.remaining)
            full = overlap.swap(sound[:, done:end], out[:, done:end])
            done = end
            if not full:
                continue
            if self._method is None:
                overlap.skip()
            else:
                frame = overlap.frame()
                made = self._method.run(frame, float(io.at("amount", end - 1)))
                self._level.scale(frame, made)
                overlap.add(made, self._limiter.apply)
