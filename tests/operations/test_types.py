"""The types of `import antiphon`: a program that uses all of it passes mypy's strict mode, and wrong calls do not."""

from pathlib import Path

import pytest
from tests.commands import ROOT

PROGRAM = """
from pathlib import Path
import numpy as np
from numpy.typing import NDArray
import antiphon

x: NDArray[np.float32] = np.zeros((2, 48000), np.float32)
clean: antiphon.Result = antiphon.run("denoise", x, 48000, strength=0.5)
sound: NDArray[np.float32] = clean.sound
rate: int = clean.rate
said: str = clean.said
antiphon.run("gain", Path("in.wav"), out="out.wav", progress=print)
notes: list[antiphon.Note] = antiphon.run("hum", "voice.wav").notes
start: float = notes[0].start
saved: Path = antiphon.run("accompany", notes, style="bossa").save("band.mid")
drums: NDArray[np.float32] = antiphon.run("stems", x, 44100).parts["drums"]
song: antiphon.Song = antiphon.analyse("song.mp3", only=("tempo", "key"))
seconds: float = song.seconds
take: antiphon.Result = antiphon.render("demo", x, 48000, seconds=8, notes=notes)
net = antiphon.Model("x.onnx", hop=480)
with antiphon.Chain(("denoise", {"latency": "low"}), "compressor", net, rate=48000, channels=2) as chain:
    out: NDArray[np.float32] = chain.process(x)
    late: int = chain.latency
    chain["compressor"].threshold = -20.0
    chain.reset()
with antiphon.Stream("hum", rate=48000) as stream:
    ended: list[antiphon.Note] = stream.process(x[0])
try:
    antiphon.run("gian")
except antiphon.AntiphonError as error:
    words: tuple[str, str, str] = error.what, error.allowed, error.mend
with antiphon.Server(patch="answer", audio="headless", record="take.wav") as s:
    s["echo"].feedback = 0.4
    s["voice"].set(gain=0, over=2)
    s.tempo = 120
    with s.at(beat=32):
        s.note(60, velocity=0.8, beats=1, on="keys")
    for beat in s.beats():
        number: int = beat
    bars: Path = s.capture(bars=4)
remote: antiphon.Remote = antiphon.connect("127.0.0.1", 4400, token="x")


async def converse() -> antiphon.Result:
    async with await antiphon.aio.connect() as a:
        async with a.at(beat=4):
            await a.play()
        async for beat in a.beats():
            break
    return await antiphon.aio.run("gain", x, 48000)
"""
WRONG = """
import antiphon

antiphon.run("gain", "in.wav", 48000, 3)
antiphon.Chain("gain", rate="48000")
antiphon.connect().temppo = 3
antiphon.run("gain").sond
"""


def errors(tmp_path: Path, program: str) -> list[str]:
    """What mypy finds in a program."""
    api = pytest.importorskip("mypy.api")
    file = tmp_path / "program.py"
    file.write_text(program)
    options = ["--strict", "--config-file", "", "--follow-imports", "silent"]
    options += ["--cache-dir", str(ROOT / ".mypy_cache/one")]
    found, said, _ = api.run([*options, str(file)])
    assert not said
    return [line for line in found.splitlines() if ": error: " in line]


def test_a_program_that_uses_all_of_it_is_typed(tmp_path: Path) -> None:
    assert errors(tmp_path, PROGRAM) == []


def test_wrong_calls_are_found(tmp_path: Path) -> None:
    found = errors(tmp_path, WRONG)
    assert {int(line.split(":")[1]) for line in found} == {4, 5, 6, 7}
