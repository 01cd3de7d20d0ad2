"""The native callbacks under a real JACK server and under PortAudio on it: every block, every sample, on time."""

from collections import Counter

import numpy as np
import pytest
from tests.real.conftest import PIPEWIRE
from tests.real.rig import GAIN, RATE, run

pytestmark = pytest.mark.real

PERIODS = [64, 256]
TRIES = 3
"""A machine that stalls makes JACK itself leave cycles out; what is exact without that is tried again."""


@pytest.mark.parametrize("jackd", PERIODS, indirect=True)
@pytest.mark.parametrize("kind", ["jack", "portaudio"])
def test_every_callback_is_answered_and_sound_passes_to_the_sample_at_the_declared_delay(jackd, kind):
    for _ in range(TRIES):
        got = run("passes", kind, jackd.period)
        assert (got["rate"], got["block"]) == (RATE, jackd.period)
        if got["whole"] or (PIPEWIRE and got["missed"] <= got["xruns"] + 0.02 * got["wanted"]):
            break
    assert 0.5 * got["wanted"] < got["calls"] < 1.05 * got["wanted"] + 4
    assert got["missed"] <= got["xruns"] + 0.02 * got["wanted"]
    delays = delays_of(got)
    (delay, often), *others = delays.most_common()
    # both rings, and what JACK needs to hand a loop of two clients round: a period, one more where PortAudio buffers
    assert delay - got["player"] - got["ring"] in (jackd.period, 2 * jackd.period), delays
    if got["whole"]:
        assert not others, f"the delay wanders: {delays}"
        assert often == len(got["sent"])
    else:
        assert often > len(got["sent"]) // 2, delays
        assert all((other - delay) % jackd.period == 0 for other, _ in others), delays


def test_each_pair_and_the_cue_has_ports_of_its_name(jackd):
    got = run("pairs", "jack", jackd.period)
    assert got["names"] == ["out_1", "out_2", "out_3", "out_4", "cue_1", "cue_2"]
    assert got["levels"] == [n / 8 for n in range(1, 7)]


def test_a_late_answer_is_dropped_and_the_delay_stays(jackd):
    """The engine sleeps through ten blocks: silence for them, counted, and what follows is where it was."""
    got = run("stalls", "jack", jackd.period)
    assert got["missed"] >= 5
    assert got["late"] >= 1
    assert 0 < len(got["came"]) < len(got["sent"]) + 1
    (_, often), *_ = delays_of(got).most_common()
    assert often > 0.7 * len(got["came"])


def delays_of(got):
    """How often each delay came, in frames. Each click has its own height: it is known which one came."""
    sent, heights = np.array(got["sent"]), GAIN * np.array(got["sent_heights"])
    delays = Counter()
    for at, height in zip(got["came"], got["heights"], strict=True):
        which = int(np.argmin(np.abs(heights - height)))
        if height == pytest.approx(heights[which], rel=1e-6):
            delays[int(at - sent[which])] += 1
        else:
            assert got["missed"], "only where a block is missing may a click be lower, as the sound rises after it"
    assert delays, "nothing came back"
    return delays


def test_loopback_measures_what_jack_does(jackd):
    from antiphon.doctor.loopback import in_child, report
    from antiphon.kernel.runtime.settings import ServeSettings

    for _ in range(3):
        trip = in_child(ServeSettings(audio="jack", block=jackd.period))
        if trip.missed == 0 and trip.spread == 0:
            break
    assert trip.driver == "jack"
    # Antiphon's output into its own input: the ring and one period
    assert trip.frames == trip.ring + jackd.period, report(trip)


def test_devices_lists_the_ports_and_portaudios_view_of_them(jackd):
    from antiphon.cli.doctor import listing
    from antiphon.doctor.sound import ask

    heard = ask()
    assert heard.jack is not None
    assert (heard.jack.rate, heard.jack.block) == (RATE, jackd.period)
    assert "system:capture_1" in heard.jack.sources
    assert "system:playback_2" in heard.jack.sinks
    assert any(d.api.startswith("JACK") and d.outputs >= 2 for d in heard.devices)
    text = "\n".join(listing(heard))
    assert "system:playback_1" in text
    assert f"{jackd.period} frames" in text
