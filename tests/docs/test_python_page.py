"""docs/python.md and the README: each recipe is typed as it is written, in a folder with a voice and a song."""

import re
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.commands import blocks, text

import antiphon

PAGE = "docs/python.md"
RECIPES = ["\n".join(block.lines) for block in blocks(PAGE) if block.lang == "python"]
TYPED = RECIPES[:-1]  # tests/docs/test_commands.py has a server for the last
TYPED += ["\n".join(block.lines) for block in blocks("README.md") if block.lang == "python"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The first seconds of the demonstration's voice and band."""
    monkeypatch.chdir(tmp_path)
    for name, source in (("voice", "voice.ogg"), ("song", "band.flac")):
        with resources.as_file(resources.files("antiphon.demo") / source) as path:
            sound, rate = soundfile.read(path, frames=6 * 48000, dtype="float32")
        soundfile.write(f"{name}.wav", sound, rate)
    return tmp_path


@pytest.mark.parametrize("recipe", TYPED, ids=range(len(TYPED)))
def test_a_recipe_does_what_it_says(recipe: str, folder: Path) -> None:
    if "torch" in recipe:
        pytest.importorskip("torch")
    if "soundfont" in recipe and not antiphon.run("soundfont", [antiphon.Note(0.0, 0.1, 60)]).sound.any():
        pytest.skip("no soundfont")
    made: dict[str, object] = {}
    exec(compile(recipe, PAGE, "exec"), made)
    for name in re.findall(r'"(\w+\.(?:wav|flac))"', recipe):
        assert soundfile.info(folder / name).frames > 0
    for name in re.findall(r'"(\w+\.mid)"', recipe):
        assert (folder / name).stat().st_size > 100
    assert len(RECIPES) == 12  # ten, a first look, and the one without `import antiphon`
    if "karaoke" in made:
        song = antiphon.run("gain", "song.wav").sound
        np.testing.assert_allclose(made["karaoke"] + made["parts"]["voice"], song, atol=1e-3)  # type: ignore[index]


def test_what_one_knows_and_what_one_writes_are_calls_that_there_are(folder: Path) -> None:
    """The right side of the table runs, but for the last line, which needs a server."""
    rows = re.findall(r"^\| \S+: `.+` \| `(.+)` \|$", text(PAGE), re.MULTILINE)
    assert len(rows) == 9
    y, sr = soundfile.read("voice.wav", dtype="float32", frames=48000)
    chain = antiphon.Chain("compressor", rate=sr)
    known = {"antiphon": antiphon, "y": y, "sr": sr, "x": np.vstack([y, y]), "chain": chain, "block": y[:480]}
    for row in rows[:-1]:
        assert eval(row.replace("song.mp3", "song.wav"), known) is not None
