"""Real Tidal, from Debian, plays a real server: every event on the frame of its time tag."""

from __future__ import annotations

import http.client
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.waiting import until

from antiphon_dirt.bench.stage import TidalStage, onset_errors, tidal_stage
from antiphon_dirt.bench.tidal import TidalError, tidal_problem

pytestmark = pytest.mark.real


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[TidalStage]:
    problem = tidal_problem()
    if problem:
        pytest.fail(problem)
    # 1.5 s ahead: more than a busy machine holds Tidal or the relay up
    with tidal_stage(tmp_path, latency=1.5) as made:
        yield made


def sent(stage: TidalStage, sound: str) -> list[dict[str, object]]:
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
    assert status["late"] == 0
    errors = onset_errors(stage.recording, stage.relay.events)
    assert errors.exact, errors


FIELDS = """
d1 $ n "0 1" # sound "bd" # speed "1 -1" # gain 1 # pan 0.2 # cut 1 # legato 0.5 # begin 0 # end 0.9
   # room 0.3 # size 0.5 # delay 0.4 # delaytime 0.25 # delayfeedback 0.3 # lpf 300 # resonance 0.2
   # hpf 100 # shape 0.3 # attack 0.001 # release 0.01 # unit "r" # velocity 1
"""


def test_its_fields_are_read_and_code_with_an_error_plays_on(stage: TidalStage) -> None:
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


def test_it_plays_on_when_the_control_process_is_another(stage: TidalStage) -> None:
    stage.tidal.run('d1 $ sound "bd*8"')
    until(lambda: stage.figures()["played"] > 2, 20.0, "it plays")
    pid = stage.server.pids()["control"]
    os.kill(pid, signal.SIGKILL)

    def plays() -> bool:
        try:
            return stage.server.pids()["control"] != pid and int(stage.figures()["played"]) > 2
        except (OSError, http.client.HTTPException, ValueError):
            return False  # the page is another process's now

    until(plays, 20.0, "it plays by another control process")
