"""Scripts that take more of a processor than there is: what is slow is left out, and the rest plays on."""

import re
import time

import pytest
from tests.performer.rig import BEAT, STEP, PlayerRig

from antiphon.performer.outgoing import SentEvent

pytestmark = pytest.mark.slow


def test_a_script_that_cannot_keep_up_leaves_out_what_is_slow_and_its_mended_version_plays_on_the_next_bar(
    stage: PlayerRig,
) -> None:
    zero = stage.first(BEAT)
    stage.play(zero + 1.0 - stage.now)

    def play_really(beats: float) -> list[SentEvent]:
        """Lets beats of the real clock pass, at 120: those whose events were sent before they were due.

        No beats pass where it waits for a processor itself.
        """
        end, early, before = stage.now + beats, list[SentEvent](), time.monotonic()
        while stage.now < end:
            time.sleep(0.005)  # the script is too slow for the real clock, which is what is tried
            now = time.monotonic()
            stage.now, before = stage.now + min(2.0 * (now - before), STEP), now
            count = len(stage.sent)
            stage.tick()
            early += [e for e in stage.sent[count:] if e.beat >= stage.now]
        return early

    heavy = (
        "@loop\ndef b():\n    began = time.thread_time()\n    while time.thread_time() < began + .1:\n        pass\n"
    )
    stage.save(f"import time\n{BEAT}{heavy}    play('a1', length=.1)\n    yield 1/8\n")
    stage.until_true(lambda: stage.player.swaps == 2, "the slow version plays")
    play_really(4.0)
    kicks = [e.beat for e in play_really(16.0) if e.address == "/node/drums/play"]
    assert len(kicks) >= 10, "a track that is not slow plays on, in time"
    assert all((beat - zero) % 1.0 == 0.0 for beat in kicks)
    slow = [said for said in stage.said if "real time" in said]
    assert len(slow) == 1, "it is said once"
    assert re.match(r"set\.py line \d+: the script needs [\d.]+ times real time, most of it b; ", slow[0])
    saved = stage.now
    stage.save(BEAT.replace("bd", "sn") + "@loop\ndef b():\n    play('a2', length=.1)\n    yield 1/8\n")
    sent = play_really(8.0)
    snares = [e.beat for e in sent if e.address == "/node/drums/play" and "sn" in e.args]
    assert stage.player.swaps == 3
    assert snares[0] - saved < 6.0, "on the next bar as the server counts it"
    assert (snares[0] - zero) % 4.0 == 0.0
    assert snares == [snares[0] + k for k in range(len(snares))]
    assert [e.beat for e in sent if e.address == "/note/on" and e.args[0] == 45][:2] == [snares[0], snares[0] + 1 / 8]


_BURN = "def burn(s):\n    began = time.thread_time()\n    while time.thread_time() < began + s:\n        pass\n"
"""A function of a script that takes CPU time in seconds."""


def test_the_loop_that_takes_the_time_is_refused_and_not_the_one_that_is_called_next(stage: PlayerRig) -> None:
    heavy, light = (f"@loop(on='keys')\ndef {name}():\n    " for name in ("heavy", "light"))
    # 16 calls of .08 s in a quarter of a beat, each well within its own limit: over the 4 s for a beat
    text = f"import time\n{BEAT}{_BURN}{heavy}burn(.08)\n    yield 1/64\n{light}play(60, length=.01)\n    yield 1/64\n"
    zero = stage.first(text)
    stage.play(zero + 2.0 - stage.now)
    assert [said for said in stage.said if "4 s for a beat" in said] == [
        "set.py line 8: loops and tracks take over 4 s for a beat; make them lighter"
    ]
    notes = [beat for beat, _ in stage.on("/note/on", zero) if beat < 1.9]
    assert notes == pytest.approx([k / 64 for k in range(len(notes))])
    assert len(notes) == 122


def test_short_calls_of_a_loop_have_each_the_limit_of_one_call(stage: PlayerRig) -> None:
    loop = "@loop(on='keys')\ndef short():\n    burn(.015)\n    play(60, length=.01)\n    yield 1/64\n"
    zero = stage.first(f"import time\n{BEAT}{_BURN}{loop}")
    stage.play(zero + 1.0 - stage.now)
    assert not [said for said in stage.said if "without" in said], stage.said
    assert [beat for beat, _ in stage.on("/note/on", zero) if beat < 0.9] == [k / 64 for k in range(58)]
