"""Real Tidal, from Debian, plays a real server: every event on the frame of its time tag."""

import http.client
import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.tidal import TidalError, TidalStage, onset_errors, tidal_problem, tidal_stage
from tests.waiting import until

pytestmark = pytest.mark.real


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[TidalStage]:
    problem = tidal_problem()
    if problem:
        pytest.fail(problem)
    # 1.5 s ahead: more than a busy machine holds Tidal or the relay up
    with tidal_stage(tmp_path, latency=1.5) as made:
        yield made


def sent(stage: TidalStage, sound: str) -> list[Mapping[str, object]]:
    return [event.fields for event in stage.relay.events if event.fields["s"] == sound]


def test_patterns_sound_on_the_frames_of_their_time_tags(stage: TidalStage) -> None:
    stage.tidal.run("setcps 1")
    stage.tidal.run('d1 $ sound "bd*4"')
    stage.tidal.run('d2 $ sound "[sn cp] <hh arpy>(3,8)"')
    wanted = ("bd", "sn", "cp", "hh", "arpy")
    until(lambda: all(len(sent(stage, sound)) >= 4 for sound in wanted), 20.0, "four of each sound are sent")
    status = stage.settle()
    stage.server.stop()
    figures = status["dirt"]
    assert (figures["played"], figures["refused"], figures["ignored"]) == (len(stage.relay.events), 0, {})
    errors = onset_errors(stage.recording, stage.relay.events)
    # what comes late, or in a block that a busy machine missed, is played when it can be, and counted: several commands
    # an event
    assert errors.off <= status["late"], errors
    if status["missed_blocks"] == 0 and min(event.lead for event in stage.relay.events) > 1.0:
        assert (errors.exact, status["late"]) == (True, 0), errors


FIELDS = """
d1 $ n "0 1" # sound "bd" # speed "1 -1" # gain 1 # pan 0.2 # cut 1 # legato 0.5 # begin 0 # end 0.9
   # room 0.3 # size 0.5 # delay 0.4 # delaytime 0.25 # delayfeedback 0.3 # lpf 300 # resonance 0.2
   # hpf 100 # hresonance 0.1 # bandf 500 # bandq 2 # shape 0.3 # crush 8 # coarse 2 # vowel "a" # accelerate 0.5
   # attack 0.001 # hold 0.2 # release 0.01 # unit "c" # loop 2 # overgain 0.1 # octave 5 # nudge 0.01
"""


def test_its_fields_are_read_and_it_plays_on_behind_an_error_and_by_another_control_process(stage: TidalStage) -> None:
    stage.tidal.run(FIELDS)
    stage.tidal.run('d2 $ note "0 7" # sound "hh"')
    stage.tidal.run('d3 $ sound "cp*2" # midinote 67 # squiz 2')
    wanted = ("bd", "hh", "cp")
    until(lambda: all(sent(stage, sound) for sound in wanted), 20.0, "all three are sent")
    with pytest.raises(TidalError, match="error:"):
        stage.tidal.run('d1 $ sond "bd"')
    before = len(stage.relay.events)
    until(lambda: len(stage.relay.events) > before + 4, 20.0, "the patterns go on")
    status = stage.settle()
    figures = status["dirt"]
    assert (figures["played"], figures["refused"]) == (len(stage.relay.events), 0)
    assert set(figures["ignored"]) == {"squiz"}
    assert {fields["orbit"] for fields in (*sent(stage, "hh"), *sent(stage, "cp"))} == {1, 2}
    stage.tidal.run('d1 $ sound "bd*8"')
    pid = stage.server.pids()["control"]
    os.kill(pid, signal.SIGKILL)

    def plays() -> bool:
        try:
            return stage.server.pids()["control"] != pid and int(stage.figures()["played"]) > 2
        except (OSError, http.client.HTTPException, ValueError):
            return False  # the page is another process's now

    until(plays, 20.0, "it plays by another control process")
