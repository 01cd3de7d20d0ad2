"""Pedals that press addresses."""

from antiphon.kernel.runtime import paths
from antiphon_midi.tests.midi_rig import MidiStage


async def test_a_pedal_presses_once_each_time_it_goes_down(live: MidiStage) -> None:
    client = live.client()
    for name in ("one", "two", "three"):
        await client.ask("/patch/save", name)
    (paths.make_folder(paths.patches() / "live") / "s.toml").write_text(
        'format = 1\npatches = ["one", "two", "three"]\n[midi]\n"cc 66" = "next"\n"cc 67" = "previous"\n'
    )
    await client.ask("/set/load", "s")

    def place() -> int:
        return int(live.app.status()["set"]["place"])

    # a pedal that slides, as half pedals do, is one press
    for value in (10, 60, 70, 100, 127, 127, 90):
        assert await live.play(0xB0, 66, value) == []
    assert place() == 2
    await live.play(0xB0, 66, 0, 0xB0, 66, 127)
    assert place() == 3
    await live.play(0xB0, 66, 0, 0xB0, 66, 127)
    assert live.app.status()["midi"]["reason"] == "this is the last patch of s"
    await live.play(0xB0, 67, 127)
    assert place() == 2


async def test_a_pedal_held_down_as_its_port_goes_presses_when_it_is_back(live: MidiStage) -> None:
    client = live.client()
    await client.ask("/learn", "/patch/undo")
    await live.play(0xB0, 50, 127, port="keys 20:0")
    await client.ask("/node/add", "gain", "extra")
    live.fake.there = []
    await live.look()
    live.fake.there = ["keys 20:0"]
    await live.look()
    await live.play(0xB0, 50, 127, port="keys 20:0")
    assert "extra" not in live.app.session.state.nodes
