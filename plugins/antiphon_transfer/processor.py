"""`transfer`: the notes of the input with the timbre of a reference, a hop at a time."""

from __future__ import annotations

from typing import ClassVar

from antiphon.api import IO, Param, Processor, StreamSpec
from antiphon_transfer.method import Way
from antiphon_transfer.reference import read
from antiphon_transfer.stream import Overlap, grid

MODES = ("envelope", "nmf", "wavelet")


class Transfer(Processor):
    """Rhythm, tempo and pitch of the input, timbre of the reference.

    All work falls on a grid of hops counted from the last `reset`, and a hop reads `amount` at its own last sample: any
    split into blocks gives the same samples. Without a reference the input passes, `latency` frames later.
    """

    needs = ("reference",)
    params: ClassVar[tuple[Param, ...]] = (
        Param(
            "mode", "choice", "envelope", choices=MODES, restart=True,
            doc="Envelope by note and loudness, spectra mixed from the reference, or levels of wavelet bands.",
        ),
        Param("reference", "file", "", doc="The sound that gives the timbre; none: the input passes."),
        Param("amount", default=1.0, low=0.0, high=1.0, doc="How far towards the reference, in every band."),
    )  # fmt: skip

    def prepare(self, spec: StreamSpec) -> None:
        """Reads the reference and learns from it. Latency: the power of two nearest to 46 ms.

        Raises `FileError` for a reference that cannot be read, is silent, or shorter than that.
        """
        sizes = grid(spec.rate)
        self.latency = sizes.size
        self._overlap = Overlap(sizes, spec.channels)
        self._way: Way | None = None
        path = str(self.settings["reference"])
        if not path:
            return
        samples = read(path, sizes)
        # only the mode that plays is imported: prepare is off the block path
        match self.settings["mode"]:
            case "envelope":
                from antiphon_transfer.envelope import Envelope

                self._way = Envelope(samples, sizes, spec.channels)
            case "nmf":
                from antiphon_transfer.nmf import Mosaic

                self._way = Mosaic(samples, sizes, spec.channels)
            case _:
                from antiphon_transfer.wavelet import Wavelet

                self._way = Wavelet(samples, sizes, spec.channels)

    def reset(self) -> None:
        """Forgets the input; the reference stays."""
        self._overlap.clear()
        if self._way is not None:
            self._way.reset()

    def process(self, io: IO) -> None:
        heard, said = io.audio_in[0], io.audio_out[0]
        overlap = self._overlap
        done = 0
        while done < io.frames:
            end = done + min(io.frames - done, overlap.missing)
            full = overlap.swap(heard[:, done:end], said[:, done:end])
            done = end
            if not full:
                continue
            if self._way is None:
                overlap.skip()
            else:
                overlap.add(self._way.run(overlap.frame(), float(io.at("amount", end - 1))))
