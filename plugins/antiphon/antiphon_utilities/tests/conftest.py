"""What these tests share: a clock."""

import pytest

from antiphon.kernel.graph.clock import TempoMap


def _on_clock(processor, bpm=120.0, changes=(), rate=48000):
    """The processor, told the beat and tempo by a tempo map. changes: (sample, what is done to the map)."""
    tempo = TempoMap(rate, bpm, end_bpm=bpm)
    waiting = sorted(changes, key=lambda change: change[0])
    inner = processor.process

    def process(io):
        while waiting and waiting[0][0] <= io.time.sample:
            waiting.pop(0)[1](tempo)
        io.time.beat, io.time.tempo = tempo.beat_at(io.time.sample), tempo.tempo_at(io.time.sample)
        io.time.playing = tempo.playing
        return inner(io)

    processor.process = process
    return processor


@pytest.fixture
def on_clock():
    return _on_clock
