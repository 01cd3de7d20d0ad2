"""What nodes play is told to whoever has subscribed, in the shape in which it is taken."""

from tests.control.rig import Rig

from antiphon.kernel.engine.link import EVERY_NODE, PlayedNote


async def test_subscribers_are_told_the_notes_nodes_play(live: Rig) -> None:
    client = live.client()
    await live.settle(2)
    assert live.engine.echoed == 0, "nobody listens"
    await client.ask("/notify", 1)
    await live.settle(2)
    assert live.engine.echoed == EVERY_NODE
    for report in (
        PlayedNote(1, "on", 60, 0.5, 2, 0),
        PlayedNote(1, "control", 7, 0.5, 2, 0),
        PlayedNote(2, "on", 61, 0.001, 1, 0),
        PlayedNote(1, "off", 60, 0.0, 2, 0),
        PlayedNote(99, "on", 1, 1.0, 1, 0),
    ):
        live.engine.say(report)
    await live.settle(2)
    assert [m for m in client.heard() if m[0].startswith("/note")] == [
        ("/note/on", (60, 64, 2, "a")),
        ("/note/on", (61, 1, 1, "b")),
        ("/note/off", (60, 0, 2, "a")),
    ]
    await client.ask("/notify", 0)
    await live.settle(2)
    assert live.engine.echoed == 0
