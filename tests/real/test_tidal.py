"""Real Tidal, from Debian, plays a real server: every event on the frame of its time tag."""

import http.client
import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import soundfile
from tests.paste.judged import rows
from tests.tidal import TidalError, TidalProcess, TidalStage, blocks, onset_errors, tidal_problem, tidal_stage
from tests.waiting import play_for, until
from tools.judge.__main__ import ask_tidal

from antiphon.testing import sound as audio
from antiphon_bench.rig import ServerProcess, free_port

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


def test_the_tidal_set_plays_on_the_kit_that_ships(tmp_path: Path) -> None:
    problem = tidal_problem()
    if problem:
        pytest.fail(problem)
    port, recording = free_port(), tmp_path / "out.wav"
    code = blocks((Path(__file__).parents[2] / "patches" / "live" / "tidal.tidal").read_text("utf-8"))
    # the first sets the tempo and plays nothing
    assert (code[0].split()[0], code[-1]) == ("setcps", "hush")
    options = ("--audio", "headless", "--patch", "tidal", "--dirt-port", str(port), "--record", str(recording))
    with ServerProcess(*options, home=tmp_path) as server, TidalProcess(port, 1.5) as tidal:
        until(lambda: server.ask("/node/orbit0/loaded")[1][0] >= 14, 20.0, "the kit is read")
        tidal.run(code[0])
        for block in code[1:-1]:
            before = server.status()["dirt"]["played"]
            tidal.run(block)
            until(lambda before=before: server.status()["dirt"]["played"] > before + 4, 20.0, block)
        tidal.run(code[-1])
        until(lambda: server.status()["scheduled"] == 0, 20.0, "all has sounded")
        play_for(server, 0.5)
        figures = server.status()["dirt"]
        missed = [server.ask(f"/node/orbit{n}/missed")[1] for n in range(4)]
        server.stop()
    assert (figures["refused"], figures["ignored"], figures["unknown"], figures["dropped"]) == (0, {}, {}, 0)
    assert missed == [[0]] * 4
    sound = soundfile.read(recording, dtype="float32", always_2d=True)[0].T
    assert -30.0 < audio.level(sound) < -8.0
    assert audio.peak(sound) < 1.0


def test_tidal_gives_the_events_that_are_kept_of_it() -> None:
    problem = tidal_problem()
    if problem:
        pytest.fail(problem)
    kept = {line: sorted(map(str, answer)) for line, _, answer in rows("tidal")}
    lines = list(kept)[::4]
    asked = {line: sorted(map(str, answer)) for line, answer in zip(lines, ask_tidal(lines), strict=True)}
    assert asked == {line: kept[line] for line in lines}
