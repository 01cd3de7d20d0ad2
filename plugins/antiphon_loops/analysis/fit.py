"""The analysis `fit`: what `library fits` compares of a loop's harmony and rhythm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from antiphon.api.backends.analysis import Analysis, Quantity
from antiphon_loops.analysis.analyse import read
from antiphon_loops.analysis.catalogued import LoopRun
from antiphon_loops.analysis.compatibility import fit_values
from antiphon_loops.analysis.reading import NoLoop

NAME = "fit"


class FitAnalysis(Analysis):
    """What `library fits` compares: the first four bars of a loop; None of what is none."""

    version = 2
    by_name = True
    longest = 60.0
    quantities = (
        Quantity("fit_bpm", "number", "bpm", "Tempo of the bars that were compared."),
        Quantity("fit_density", "number", "", "Onsets a beat."),
        Quantity("fit_register", "number", "", "Mean MIDI number of the notes; none for drums."),
        Quantity("fit", "vector", "", "Harmony of 16 beats and rhythm: the product of two is how well they fit."),
    )

    def begin(self, rate: int, channels: int) -> LoopRun:
        return FitRun(rate, min(2, channels))


class FitRun(LoopRun):
    """Holds the samples of a loop."""

    def result(self) -> Mapping[str, Any]:
        try:
            return fit_values(read(self.samples(), self.rate, label=self.label()))
        except NoLoop:
            return {quantity.name: None for quantity in FitAnalysis.quantities}
