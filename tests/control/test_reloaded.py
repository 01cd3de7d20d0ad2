"""A patch's file saved while it plays: a line says that it plays, and what is different."""

import logging
from pathlib import Path

import pytest
from tests.control.rig import CATALOG, Rig

from antiphon.kernel.control import patch_watch
from antiphon.kernel.control.patch_watch import MOST, reload_line
from antiphon.kernel.graph import patch

TEXT = """format = 1
tempo = 120

[nodes.a]
type = "gain"
gain = 0.5

[nodes.b]
type = "gain"

[wires]
"in" = "a"
"a" = "b"
"b" = "out"
"""


def parsed(text: str) -> patch.Patch:
    return patch.parse(text, CATALOG)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("gain = 0.5", "gain = 0.4", ": a.gain 0.4"),
        ("gain = 0.5", 'mode = "wavelet"', ": a.mode wavelet, a.gain at its default"),
        ("gain = 0.5", "gain = 0.5\nmute = true", ": a.mute on"),
        ("tempo = 120", "tempo = 90.5", ": tempo 90.5"),
        ('"a" = "b"\n', '"a" = "out"\n', ": wires"),
        ("[wires]", '[nodes.c]\ntype = "gain"\n[wires]', ": c added"),
        ("[wires]", '[midi]\n"cc 1" = "a.gain"\n[wires]', ": midi"),
        ("format = 1", "# a word\nformat = 1", ""),
    ],
)
def test_what_is_different_is_named(old: str, new: str, said: str) -> None:
    assert old in TEXT
    assert reload_line(parsed(TEXT), parsed(TEXT.replace(old, new)), "p.toml", mended=False) == f"reloaded p.toml{said}"


def test_a_node_that_went_is_named_and_a_long_list_is_cut() -> None:
    gone = TEXT.replace('[nodes.b]\ntype = "gain"\n', "").replace('"a" = "b"\n"b" = "out"', '"a" = "out"')
    assert reload_line(parsed(TEXT), parsed(gone), "p.toml", mended=True) == (
        "reloaded p.toml after the error: b removed, wires"
    )
    more = "\n".join(f'[nodes.n{n}]\ntype = "gain"' for n in range(MOST + 2))
    text = reload_line(parsed(TEXT), parsed(TEXT.replace("[wires]", f"{more}\n[wires]")), "p.toml", mended=False)
    assert text.endswith(", n3 added, and 2 more")
    assert reload_line(None, parsed(TEXT), "p.toml", mended=False) == "reloaded p.toml"


async def test_it_is_said_when_it_plays_and_again_when_an_error_is_mended(
    live: Rig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "antiphon.said")
    file = tmp_path / "mine.toml"
    file.write_text(TEXT)
    app = live.app
    app.plans.load(patch.load(file, CATALOG, trusted=True), 0.0, None, "", ())
    await live.settle()

    async def saved(text: str) -> list[str]:
        file.write_text(text)
        caplog.clear()
        patch_watch.reload(app)
        await live.settle()
        return [record.getMessage() for record in caplog.records]

    assert await saved(TEXT.replace("0.5", "0.4")) == ["reloaded mine.toml: a.gain 0.4"]
    ((broken),) = await saved(TEXT.replace("0.5", "9"))
    assert "gain takes 0 to 2, not 9" in broken
    assert await saved(TEXT.replace("0.5", "0.3")) == ["reloaded mine.toml after the error: a.gain 0.3"]
    assert await saved(TEXT.replace("0.5", "0.2")) == ["reloaded mine.toml: a.gain 0.2"]
    await saved(TEXT.replace("0.5", "9"))
    file.write_text(TEXT.replace("0.5", "0.2"))
    caplog.clear()
    patch_watch.reload_if_changed(app, str(file))
    assert [record.getMessage() for record in caplog.records] == [
        "mine.toml is without the error again, and as what plays"
    ]
    patch_watch.reload_if_changed(app, str(file))
    assert len(caplog.records) == 1


async def test_what_the_engine_refuses_is_not_said_to_be_reloaded(
    live: Rig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "antiphon.said")
    file = tmp_path / "mine.toml"
    file.write_text(TEXT)
    app = live.app
    app.plans.load(patch.load(file, CATALOG, trusted=True), 0.0, None, "", ())
    await live.settle()
    file.write_text(TEXT.replace("0.5", "0.4"))
    live.engine.refuse = "no memory"
    patch_watch.reload(app)
    await live.settle()
    assert not [record for record in caplog.records if record.name == "antiphon.said"]
    live.engine.refuse = ""
    file.write_text(TEXT.replace("0.5", "0.3"))
    patch_watch.reload(app)
    await live.settle()
    said = [record.getMessage() for record in caplog.records if record.name == "antiphon.said"]
    assert said == ["reloaded mine.toml after the error: a.gain 0.3"]
