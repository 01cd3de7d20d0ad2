"""docs/python.md and README: each recipe is typed as it is written; blocks of Python on the pages are run by tests."""

import json
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.commands import PAGES, ROOT, blocks, text

import antiphon
from antiphon.cli.commands import application
from antiphon.offline import analyses as registered
from antiphon.offline.rehearsing import Trial, prepared, rehearse, run_script
from antiphon.testing import sound as audio

pytestmark = pytest.mark.slow

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


def test_readme_live_script_plays_on_its_patch() -> None:
    (script,) = ("\n".join(block.lines) for block in blocks("README.md") if block.lang == "py")
    played = run_script(Trial(script, bars=1))
    result = rehearse(Trial(script, bars=1), played, prepared())
    assert (result.verdict.ok, played.patch, played.remarks) == (True, "band", [])
    assert len(result.verdict.bars) == 1


def test_what_one_knows_and_what_one_writes_are_calls_that_there_are(folder: Path) -> None:
    """The right side of the table runs, but for the last line, which needs a server."""
    rows = re.findall(r"^\| \S+: `.+` \| `(.+)` \|$", text(PAGE), re.MULTILINE)
    assert len(rows) == 9
    y, sr = soundfile.read("voice.wav", dtype="float32", frames=48000)
    chain = antiphon.Chain("compressor", rate=sr)
    known = {"antiphon": antiphon, "y": y, "sr": sr, "x": np.vstack([y, y]), "chain": chain, "block": y[:480]}
    for row in rows[:-1]:
        assert eval(row.replace("song.mp3", "song.wav"), known) is not None


RUN_BY = {
    "README.md": "tests/docs/test_python_page.py",
    "docs/python.md": "tests/docs/test_python_page.py",
    "docs/hooks.md": "tests/serve/test_plugin_transport.py",
    "docs/live-coding.md": "tests/docs/test_live_coding.py",
    "docs/plugins.md": "tests/docs/test_plugins.py",
    "docs/library.md": "tests/docs/test_python_page.py",
}


def test_each_page_with_python_is_run() -> None:
    pages = {page for page in PAGES if any(block.lang == "python" for block in blocks(page))}
    assert pages == set(RUN_BY)
    assert [path for path in RUN_BY.values() if not (ROOT / path).is_file()] == []


@pytest.fixture
def registered_anew() -> Iterator[None]:
    """A process keeps the analyses that it has found, which are those of one folder of plugins."""
    registered._registry.cache_clear()
    yield
    registered._registry.cache_clear()


@pytest.mark.usefixtures("registered_anew")
def test_the_analysis_of_the_library_page_finds_what_is_bright(
    tmp_path: Path, antiphon_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, body in re.findall(r"```python\n# (brightness/\S+)\n(.*?)```", text("docs/library.md"), re.DOTALL):
        path = antiphon_home / "data" / "plugins" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body)
    app = application()
    found = []
    for hertz in (1000.0, 2000.0):
        file = audio.write(tmp_path / f"{hertz:g}.wav", audio.sine(hertz, 2.0))
        words = (["add", str(file)], ["analyse", str(file), "--only", "brightness"], ["show", str(file), "--json"])
        for one in words:
            capsys.readouterr()
            assert not app.main(args=["library", *one], prog_name="antiphon", standalone_mode=False)
        shown = capsys.readouterr().out
        (value,) = re.findall(r'"brightness": ([\d.]+)', json.dumps(json.loads(shown)))
        found.append(float(value))
    assert found[1] == pytest.approx(2.0 * found[0], rel=0.05)
    assert found[0] == pytest.approx(2.0 * 1000.0 / 48000.0, rel=0.05)
