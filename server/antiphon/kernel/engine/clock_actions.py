"""Clock actions: changes of tempo, swing, transport and beat, applied to the tempo map."""

from __future__ import annotations

from antiphon.kernel.graph.clock import MAX_TEMPO, MIN_TEMPO, TempoMap
from antiphon.kernel.session.actions import Action
from antiphon.kernel.session.commands import NudgeBeat, SetSwing, SetTempo, SetTransport

CLOCK_ACTIONS = (SetTempo, SetSwing, SetTransport, NudgeBeat)


def apply(tempo: TempoMap, sample: int, action: Action) -> None:
    """Changes the tempo map at a sample of the engine's clock by one of `CLOCK_ACTIONS`; others change nothing."""
    match action:
        case SetTempo(bpm, beats):
            tempo.set_tempo(sample, min(max(bpm, MIN_TEMPO), MAX_TEMPO), beats)
        case SetSwing(amount, step):
            tempo.swing, tempo.step = amount, step
        case SetTransport(playing, beat):
            tempo.set_transport(sample, playing, beat)
        case NudgeBeat(beats):
            tempo.set_transport(sample, None, tempo.beat_at(sample) + beats)
