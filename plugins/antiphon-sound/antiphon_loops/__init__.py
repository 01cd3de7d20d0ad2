"""Loops: a library of loops, analysed once, stacked on the clock."""

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_analyses(register: Register) -> None:
    register("loop", "antiphon_loops.analysis.catalogued:LoopAnalysis", "Tempo, bars, key and role of a loop; by name.")
    register(
        "fit",
        "antiphon_loops.analysis.catalogued:FitAnalysis",
        "Harmony and rhythm of a loop, to be compared; by name.",
    )


@hookimpl
def antiphon_processors(register: Register) -> None:
    register(
        "loops",
        "antiphon_loops.processor:Loops",
        "Plays loops of a library together, time-stretched to the tempo and transposed to one key.",
    )
