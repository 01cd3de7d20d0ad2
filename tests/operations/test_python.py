"""`antiphon.run` and `antiphon.analyse`: the samples of the command line, and one sentence for what is no sound."""

import asyncio
import base64
import glob
import io
import itertools
import os
import re
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mido
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings, strategies as st
from tests import accepted
from tests.cli.conftest import Command
from tests.waiting import until

import antiphon
import antiphon.aio
from antiphon.client import starting
from antiphon.files.sound_picture import HEIGHT, WAVE_HEIGHT, WIDTH, waveform
from antiphon.kernel.contract.catalog import ProcessorInfo
from antiphon.kernel.plugins import loader
from antiphon.kernel.runtime.processes.children import Child, spawn
from antiphon.kernel.wire.frames import Framer
from antiphon.kernel.wire.osc import decode, encode, messages_of
from antiphon.offline.file_job import needed
from antiphon.operations.given import copy_samples, write_notes
from antiphon.operations.python import every_plugin
from antiphon.operations.result import read_notes
from antiphon.testing import sound as audio

RATE = 48000
THROUGH = [
    info
    for info in loader.load(check=False).catalog.types.values()
    if info.first("audio", "in") and info.first("audio", "out") and not info.on_files.job and not needed(info)
]
VOICE = sum(audio.sine(220.0 * n, 1.0, RATE, -14.0 - 4.0 * n) for n in range(1, 5))


@pytest.mark.parametrize("info", THROUGH, ids=lambda info: info.type)
def test_the_samples_are_those_of_the_command(antiphon_typed: Command, tmp_path: Path, info: ProcessorInfo) -> None:
    sound = VOICE[:, : RATE // 4]
    soundfile.write(tmp_path / "in.wav", sound.T, RATE, "FLOAT")
    done = antiphon_typed("run", info.type, "in.wav", "out.wav")
    assert done.code == 0, done.err
    typed, rate = soundfile.read(tmp_path / "out.wav", dtype="float32", always_2d=True)
    called = antiphon.run(info.type, sound, RATE)
    assert called.rate == rate
    np.testing.assert_array_equal(called.sound, typed.T)
    if info.type == "gain":  # a path is the same for all
        np.testing.assert_array_equal(antiphon.run(info.type, tmp_path / "in.wav").sound, typed.T)


def test_a_sound_keeps_its_shape() -> None:
    assert antiphon.run("gain", VOICE[0], RATE).sound.shape == VOICE[0].shape
    stereo = np.vstack([VOICE, VOICE])
    assert antiphon.run("gain", stereo, RATE, gain=0.5).sound.shape == stereo.shape
    np.testing.assert_allclose(antiphon.run("gain", stereo, RATE, gain=0.5).sound, 0.5 * stereo, atol=1e-7)


@pytest.mark.parametrize(
    "form",
    [
        np.asfortranarray,
        lambda sound: np.repeat(sound, 2, axis=1)[:, ::2],
        lambda sound: sound.astype(np.float64),
        lambda sound: sound.tolist(),
    ],
)
def test_layout_and_type_of_an_array_change_nothing(form) -> None:
    sound = np.vstack([VOICE, -VOICE])[:, :3000]
    held = form(sound)
    if isinstance(held, np.ndarray):
        held.flags.writeable = False
    np.testing.assert_array_equal(copy_samples(held), sound)


@given(st.sampled_from(["int8", "int16", "int32", "uint8", "uint16"]))
@settings(max_examples=5)
def test_whole_numbers_are_scaled_by_their_type(kind: str) -> None:
    bounds = np.iinfo(kind)
    ends = np.array([bounds.min, bounds.max], kind)
    low, high = copy_samples(ends)[0]
    assert low == -1.0
    assert high == pytest.approx(1.0, abs=2.0 / (2.0**bounds.bits) + 1e-6)


def one_sentence(refused: antiphon.AntiphonError, words: str = "") -> None:
    assert refused.what
    assert words in refused.what
    assert "\n" not in str(refused)
    assert "/antiphon-" not in str(refused)


NAMES = ("run", "render", "analyse", "Chain", "Stream", "Model", "Note", "Server", "connect")
CALLS = {name: getattr(antiphon, name) for name in NAMES}
"""What the calls in the .txt file are made of."""


def test_each_refusal_has_its_parts_and_words_of_a_program() -> None:
    """Of a call what was wrong, what to do and what is allowed."""

    def answer(call: str) -> str:
        try:
            return str(eval(call, {**CALLS, "np": np, "BytesIO": io.BytesIO, "VOICE": VOICE, "RATE": RATE}))
        except antiphon.AntiphonError as refused:
            one_sentence(refused)
            return " | ".join((refused.what, refused.mend, refused.allowed))

    accepted.compare(__file__, answer)


HELD = st.sampled_from(
    ["float16", "float32", "float64", "int8", "int16", "int32", "uint8", "uint16", "bool", "complex64"]
)
ODD = st.sampled_from([None, np.nan, np.inf, -np.inf, 1e30])


@given(
    HELD, st.lists(st.integers(0, 70), min_size=0, max_size=3), ODD, st.sampled_from("CF"), st.booleans(), st.booleans()
)
def test_any_array_is_right_or_refused_in_one_sentence(
    kind: str, shape: list[int], odd: float | None, order: str, strided: bool, writeable: bool
) -> None:
    rng = np.random.default_rng(len(shape))
    full = np.iinfo(kind).max if np.dtype(kind).kind in "iu" else 1.0
    given_ = np.array(full * rng.uniform(0.0, 1.0, shape), kind, order=order)
    if odd is not None and given_.size and given_.dtype.kind == "f":
        with np.errstate(over="ignore"):
            given_.flat[-1] = odd
    if strided and given_.ndim:
        given_ = given_[..., ::-1]
    given_.flags.writeable = writeable
    try:
        taken = copy_samples(given_)
    except antiphon.AntiphonError as refused:
        one_sentence(refused)
        held = given_.ndim in (1, 2) and given_.size and given_.dtype.kind in "fiu" and odd is None
        if held and given_.shape[:-1] <= (64,):
            pytest.fail(f"refused: {refused}")
        return
    middle = (np.iinfo(kind).max + 1) / 2 if given_.dtype.kind == "u" else 0.0
    unit = 1.0 if given_.dtype.kind == "f" else middle or full + 1.0
    np.testing.assert_allclose(taken, np.atleast_2d((given_.astype(np.float64) - middle) / unit), rtol=1e-6, atol=1e-7)
    assert taken.dtype == np.float32
    assert taken.flags.c_contiguous
    assert not np.shares_memory(taken, given_)


NUMBER = st.one_of(st.integers(0, 9), st.floats(0.0, 9.0), st.floats(), st.integers(-200, 200), st.none(), st.text())


@given(st.lists(st.builds(antiphon.Note, NUMBER, NUMBER, NUMBER, NUMBER, NUMBER), min_size=1, max_size=3))
def test_any_notes_are_kept_or_refused_in_one_sentence(tmp_path_factory: pytest.TempPathFactory, notes) -> None:
    path = tmp_path_factory.getbasetemp() / "odd.mid"
    try:
        write_notes(path, notes)
    except antiphon.AntiphonError as refused:
        one_sentence(refused, "note ")
        return
    for kept, note in zip(read_notes(path)[0], sorted(notes, key=lambda note: (note.start, note.end)), strict=True):
        assert kept.pitch == note.pitch
        assert kept.start == pytest.approx(note.start, abs=1e-4)


def test_the_rate_that_a_result_has_may_be_given_again() -> None:
    result = antiphon.run("gain", VOICE, RATE)
    for rate in (RATE, np.int64(RATE)):
        assert antiphon.run("gain", result, rate).rate == RATE


@pytest.mark.needs("library")
def test_a_sound_without_a_drum_of_general_midi_is_missing_in_the_notes_alone(tmp_path: Path) -> None:
    script = tmp_path / "set.py"
    script.write_text('from antiphon.live import *\npatch("pads")\ntrack("a", s("noise*4"))\n')
    made = antiphon.render(script, bars=1)
    assert made.warnings == ("the result's .notes is without noise: no drum of General MIDI is called so",)
    assert made.notes == []
    assert np.abs(made.sound).max() > 0.05


def test_a_file_that_was_given_is_named_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "none" / "my --stems -p lead=on antiphon run gain IN.wav"
    for call in (lambda: antiphon.run("gain", path), lambda: antiphon.run("gain", VOICE, RATE, out=path)):
        with pytest.raises(antiphon.AntiphonError) as refused:
            call()
        assert str(path) in str(refused.value)


@pytest.mark.needs("listen")
def test_a_rate_beside_what_has_its_own_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", VOICE.T, RATE)
    made = antiphon.run("gain", tmp_path / "in.wav")
    calls: list[Callable[[object], object]] = [
        lambda given: antiphon.run("gain", given, RATE // 2),
        lambda given: antiphon.render("dub", given, RATE // 2),
        lambda given: antiphon.analyse(given, RATE // 2, only="tempo"),
    ]
    for call, sound in itertools.product(calls, (tmp_path / "in.wav", made)):
        with pytest.raises(antiphon.AntiphonError, match="a rate is given with an array") as refused:
            call(sound)
        one_sentence(refused.value)
    assert antiphon.run("gain", made, RATE).rate == RATE


def test_an_interrupt_leaves_no_file_and_no_process(tmp_path: Path) -> None:
    program = (
        "import numpy, antiphon, os, glob\n"
        "def stop(part):\n    raise KeyboardInterrupt\n"
        "try:\n    antiphon.run('gain', numpy.zeros(20 * 48000), 48000, progress=stop)\n"
        "except KeyboardInterrupt:\n    print(antiphon.run('gain', numpy.zeros(9), 48000).sound.shape)\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    shared = set(glob.glob("/dev/shm/antiphon-*"))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout == "(9,)\n"
    assert not list(tmp_path.iterdir())
    assert set(glob.glob("/dev/shm/antiphon-*")) <= shared


def test_a_cancelled_task_ends_its_work(tmp_path: Path) -> None:
    """Its file is not half written, and its thread is free for other work."""
    parts: list[float] = []
    begun = threading.Event()

    def progress(part: float) -> None:
        parts.append(part)
        begun.set()

    async def cancelled() -> int:
        sound = np.zeros((2, 300 * RATE), np.float32)
        work = antiphon.aio.run("compressor", sound, RATE, out=tmp_path / "out.wav", progress=progress)
        task = asyncio.create_task(work)
        await asyncio.to_thread(begun.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        done = len(parts)
        assert not os.listdir(tmp_path)
        assert (await antiphon.aio.run("gain", np.zeros(9), RATE)).sound.shape == (9,)
        return done

    done = asyncio.run(cancelled())
    assert len(parts) == done
    assert parts[-1] < 1.0


@pytest.mark.parametrize("name", ["Server", "connect"])
@pytest.mark.parametrize("when", ["before it is ready", "as it is ready"])
def test_a_server_that_becomes_ready_for_a_cancelled_task_is_closed(
    monkeypatch: pytest.MonkeyPatch, name: str, when: str
) -> None:
    begun, ready, closed = threading.Event(), threading.Event(), threading.Event()

    def make() -> SimpleNamespace:
        begun.set()
        assert ready.wait(10.0)
        return SimpleNamespace(close=closed.set)

    monkeypatch.setattr(antiphon.aio, f"_{name}", make)

    async def cancelled() -> None:
        task = asyncio.create_task(getattr(antiphon.aio, name)())
        await asyncio.to_thread(begun.wait)
        if when == "as it is ready":
            ready.set()
            time.sleep(0.1)  # noqa: ASYNC251  # the loop stands: it is ready, and the task does not know it
        else:
            asyncio.get_running_loop().call_later(0.1, ready.set)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert closed.is_set(), "it is waited for"

    asyncio.run(cancelled())


def test_a_start_that_is_cancelled_ends_its_server(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Child] = []

    def silent(*_words: str, **options: Any) -> Child:
        started.append(spawn([sys.executable, "-c", "import time; time.sleep(600)"], lane=options["lane"], bound=False))
        return started[0]

    monkeypatch.setattr(starting, "spawn", silent)

    async def cancelled() -> None:
        task = asyncio.create_task(antiphon.aio.Server())
        await asyncio.to_thread(until, lambda: started, 10.0, "it is started")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert started[0].ended

    asyncio.run(cancelled())


def test_a_cancelled_question_that_waits_for_another_is_not_sent() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    asked: list[bytes] = []

    def serve() -> None:
        peer, _ = listener.accept()
        framer = Framer()
        with peer:
            while data := peer.recv(1 << 16):
                for message in [m for p in framer.feed(data) if isinstance(p, bytes) for m in messages_of(decode(p))]:
                    asked.append(message.address)
                    if message.address == b"/sync" and answer.wait(10.0):
                        peer.sendall(framer.wrap(encode("/synced", *message.args)))

    answer, serving = threading.Event(), threading.Thread(target=serve, daemon=True)
    serving.start()

    async def converse() -> None:
        async with await antiphon.aio.connect(port=listener.getsockname()[1], http_port=1) as remote:
            first = asyncio.create_task(remote.send("/first"))
            await asyncio.to_thread(until, lambda: b"/sync" in asked, 10.0, "the first is sent")
            second = asyncio.create_task(remote.send("/second"))
            await asyncio.sleep(0.05)  # the second has gone to its thread, where it waits for the first
            second.cancel()
            with pytest.raises(asyncio.CancelledError):
                await second
            answer.set()
            await first
            await remote.send("/third")

    asyncio.run(converse())
    listener.close()
    assert [address for address in asked if address != b"/sync"] == [b"/first", b"/third"]


def test_notes_go_in_and_come_out() -> None:
    notes = [antiphon.Note(0.25 * n, 0.25 * n + 0.2, 60 + n, 0.5) for n in range(4)]
    moved = antiphon.run("transpose", notes, semitones=12)
    assert [note.pitch for note in moved.notes] == [72, 73, 74, 75]
    assert [note.start for note in moved.notes] == pytest.approx([note.start for note in notes], abs=0.002)
    assert isinstance(moved.midi(), mido.MidiFile)
    again = antiphon.run("transpose", moved.midi(), semitones=-12)
    assert [note.pitch for note in again.notes] == [60, 61, 62, 63]


def test_what_answers_in_sound_too_gives_notes_of_notes() -> None:
    melody = [antiphon.Note(0.5 * n, 0.5 * n + 0.4, pitch) for n, pitch in enumerate((60, 64, 67, 65) * 4)]
    more = antiphon.run("continue", melody, bars=2)
    assert len(more.notes) > len(melody)
    assert [note.pitch for note in more.notes[:16]] == [note.pitch for note in melody]


def test_a_result_is_saved(tmp_path: Path) -> None:
    made = antiphon.run("gain", VOICE, RATE, gain=0.5)
    made.save(tmp_path / "half.wav")
    np.testing.assert_array_equal(soundfile.read(tmp_path / "half.wav", dtype="float32")[0], made.sound[0])
    with pytest.raises(antiphon.AntiphonError, match="holds no notes"):
        made.save(tmp_path / "half.mid")
    moved = antiphon.run("transpose", [antiphon.Note(0, 1, 60)], semitones=12)
    for result, name in ((made, "half.wav"), (moved, "moved.mid")):
        with pytest.raises(antiphon.AntiphonError, match="its folder does not exist; make it first"):
            result.save(tmp_path / "none" / name)
    assert not (tmp_path / "none").exists()


def test_out_is_written_and_read_when_asked_for(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", VOICE.T, RATE, "FLOAT")
    made = antiphon.run("gain", tmp_path / "in.wav", out=tmp_path / "out.wav", gain=0.5)
    assert made.path == tmp_path / "out.wav"
    np.testing.assert_allclose(made.sound, 0.5 * VOICE, atol=1e-7)
    flat = antiphon.run("gain", VOICE[0], RATE, out=tmp_path / "flat.wav")
    assert flat.sound.shape == VOICE[0].shape
    with pytest.raises(antiphon.AntiphonError, match="force=True to write over it"):
        antiphon.run("gain", VOICE[0], RATE, out=tmp_path / "flat.wav", force=False)


def test_progress_is_told() -> None:
    told: list[float] = []
    antiphon.run("gain", np.zeros(20 * RATE, np.float32), RATE, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_two_calls_at_once_are_two_results() -> None:
    made: dict[float, np.ndarray] = {}

    def call(gain: float) -> None:
        made[gain] = antiphon.run("gain", VOICE, RATE, gain=gain).sound

    threads = [threading.Thread(target=call, args=(gain,)) for gain in (0.25, 0.5, 0.75, 1.0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for gain, sound in made.items():
        np.testing.assert_allclose(sound, gain * VOICE, atol=1e-7)
    assert len(made) == 4


def test_importing_antiphon_imports_no_numpy_and_nothing_prints() -> None:
    program = (
        "import sys, antiphon; assert 'numpy' not in sys.modules; import numpy, signal, os;"
        "before = signal.getsignal(signal.SIGINT), os.getcwd();"
        "antiphon.run('gain', numpy.zeros(9), 48000);"
        "assert before == (signal.getsignal(signal.SIGINT), os.getcwd())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.needs("listen")
def test_analyse_answers_what_was_asked_for() -> None:
    heard = antiphon.analyse(VOICE, RATE, only="loudness,key")
    assert heard.loudness == pytest.approx(-17.0, abs=3.0)
    assert set(heard.values) == {"loudness", "key"}
    assert heard.tempo is None
    assert {each["namespace"] for each in heard.jams()["annotations"]} <= {"key_mode"}
    with pytest.raises(antiphon.AntiphonError, match="no quantity and no analysis 'tempoo'; did you mean tempo"):
        antiphon.analyse(VOICE, RATE, only="tempoo")
    with pytest.raises(AttributeError, match="did you mean tempo"):
        heard.tempoo  # noqa: B018


def test_every_plugin_is_loaded_once() -> None:
    assert every_plugin() is every_plugin()


SCRIPT = """from antiphon.live import *
patch("pads")
tempo(120)
track("beat", "bd*4")
track("hats", "hh*8")
"""


def test_a_patch_is_rendered_as_by_the_command(antiphon_typed: Command, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", VOICE.T, RATE, "FLOAT")
    done = antiphon_typed("render", "dub", "--in", "in.wav", "--out", "out.wav", "--seconds", "1")
    assert done.code == 0, done.err
    typed = soundfile.read(tmp_path / "out.wav", dtype="float32")[0].T
    np.testing.assert_array_equal(antiphon.render("dub", VOICE, RATE, seconds=1).sound, typed)


def test_a_script_is_rendered_with_parts_and_notes() -> None:
    made = antiphon.render(SCRIPT, bars=1)
    assert set(made.parts) == {"beat", "hats"}
    assert {part.shape for part in made.parts.values()} == {made.sound.shape}
    assert len(made.notes) == 12
    with pytest.raises(antiphon.AntiphonError, match="line 4"):
        antiphon.render(SCRIPT.replace('"bd*4"', "bd*4"), bars=1)


def test_a_script_that_is_written_is_read_when_asked_for(tmp_path: Path) -> None:
    made = antiphon.render(SCRIPT, bars=1, out=tmp_path / "set.wav")
    typed = soundfile.read(tmp_path / "set.wav", dtype="float32")[0].T
    np.testing.assert_array_equal(made.sound, typed)
    assert len(made.notes) == 12


def test_notes_are_played_by_a_patch() -> None:
    made = antiphon.render("band", notes=[antiphon.Note(0.0, 0.3, 36)], seconds=0.5)
    assert np.abs(made.sound).max() > 0.01


@pytest.mark.needs("listen")
def test_results_show_themselves(tmp_path: Path) -> None:
    made = antiphon.run("gain", VOICE, RATE, gain=0.5)
    ((played,), (drawn,)) = (
        re.findall(pattern, made._repr_html_()) for pattern in ('flac;base64,([^"]*)', 'png;base64,([^"]*)')
    )
    sound, rate = soundfile.read(io.BytesIO(base64.b64decode(played)), dtype="float32")
    assert rate == RATE
    np.testing.assert_allclose(sound, 0.5 * VOICE[0], atol=1e-4)
    assert base64.b64decode(drawn)[16:24] == struct.pack(">II", WIDTH, WAVE_HEIGHT + 1 + HEIGHT)
    notes = antiphon.run("transpose", [antiphon.Note(0.0, 1.0, 60)], semitones=1)
    assert "piano roll" in notes._repr_html_()
    heard = antiphon.analyse(VOICE, RATE, only="loudness,chords")
    assert f"<th>loudness</th><td>{heard.loudness}</td>" in heard._repr_html_()
    chain = antiphon.Chain("gain", "delay", rate=RATE)._repr_html_()
    assert re.findall(">([a-z]+)</span>", chain) == ["gain", "delay"]


def test_a_waveform_goes_from_the_least_to_the_largest_sample() -> None:
    levels = waveform(np.concatenate([np.zeros(4800), np.full(4800, 0.5)])[None].astype(np.float32))
    middle = [np.mean(np.flatnonzero(levels[:, column])) for column in (100, 400)]
    assert middle == pytest.approx([19.5, 9.5], abs=0.6)


@pytest.mark.parametrize("bad", ["\ud800", "x\udfffy"])
def test_half_a_character_is_refused(bad: str) -> None:
    with pytest.raises(antiphon.AntiphonError, match="half of a character"):
        antiphon.ask("library search", words=[bad])
