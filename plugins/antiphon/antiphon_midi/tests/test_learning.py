"""Controllers that are learned for parameters, and pads for addresses."""

import json
from pathlib import Path

import pytest
from tests import accepted
from tests.control.rig import Client

from antiphon.kernel.runtime import paths
from antiphon.web import control_status
from antiphon_midi.learn import control_mode
from antiphon_midi.tests.midi_rig import K, MidiStage, panics_of, staged, with_midi


@pytest.fixture
def client(live: MidiStage) -> Client:
    return live.client()


async def test_learned_once_it_stays_learned(live: MidiStage, tmp_path: Path, client: Client) -> None:
    await client.ask("/notify", 1)
    assert await client.ask("/learn", "/node/a/cutoff") == []
    assert control_status.status(live.app)["midi"]["learning"] == "a.cutoff"
    await live.play(0xB4, 33, 64, 0xB4, 33, 127, port="keys 20:0")
    assert live.app.executor.value("a", "cutoff") == 2000.0
    assert [m for m in client.heard() if "learn" in m[0] or m[0] == "/done"] == [
        ("/done", ("/learn", "/node/a/cutoff", "cc 33 5")),
        ("/learned", ("/node/a/cutoff", "cc 33 5", "keys")),
    ]
    # of another port, and another channel, it is another knob
    assert len(await live.play(0xB4, 33, 0)) == 1
    assert len(await live.play(0xB3, 33, 0, port="keys 20:0")) == 1
    async with staged(tmp_path / "other", there=["keys 28:0"]) as later:
        await later.play(0xB4, 33, 0, port="keys 28:0")
        assert later.app.executor.value("a", "cutoff") == 20.0
        asking = later.client()
        assert await asking.ask("/unlearn", "/node/a/cutoff") == []
        assert len(await later.play(0xB4, 33, 127, port="keys 28:0")) == 1
        ((_, (_, said)),) = await asking.ask("/unlearn", "/node/a/cutoff")
        assert said == "no control was learned for a.cutoff"
    assert json.loads((paths.config() / "midi.json").read_text())["controls"] == []


async def test_a_pad_is_learned_for_panic_and_plays_no_note_from_then_on(live: MidiStage, tmp_path: Path) -> None:
    client, panics = live.client(), panics_of(live)
    await client.ask("/notify", 1)
    assert await client.ask("/learn", "/panic") == []
    await live.play(0x89, 36, 0)  # the release of a pad that was down
    assert await live.play(0x99, 36, 1, 0x89, 36, 0, port="keys 20:0") == []
    assert ("/done", ("/learn", "/panic", "note 36 10")) in client.heard()
    assert len(panics) == 1, "the press that is learned presses too"
    assert await live.play(0x99, 36, 100, 0x99, 36, 0, port="keys 20:0") == []
    assert len(panics) == 2
    # another pad, another channel and another port play
    for message, port in (
        ((0x99, 37, 127), "keys 20:0"),
        ((0x98, 36, 127), "keys 20:0"),
        ((0x99, 36, 127), "antiphon"),
    ):
        assert [done[0] for done in await live.play(*message, port=port)] == ["on"]
    async with staged(tmp_path / "other", there=["keys 28:0"]) as later:
        pressed = panics_of(later)
        assert await later.play(0x99, 36, 100, port="keys 28:0") == []
        assert len(pressed) == 1
        assert await later.client().ask("/unlearn", "/panic") == []
        assert len(await later.play(0x99, 36, 100, port="keys 28:0")) == 1


async def test_a_macro_is_learned_by_its_short_address(live: MidiStage) -> None:
    client = live.client()
    await client.ask("/patch/save", "mine")
    path = paths.patches() / "mine.toml"
    path.write_text(f'{path.read_text()}\n[macros]\nloud = ["a.cutoff", 20, 2000]\n')
    await client.ask("/patch/load", "mine")
    assert await client.ask("/learn", "/macro/loud") == []
    assert control_status.status(live.app)["midi"]["learning"] == "macro.loud"


async def test_a_note_is_not_learned_for_a_parameter(live: MidiStage) -> None:
    assert await live.client().ask("/learn", "/node/a/cutoff") == []
    assert len(await live.play(0x90, 60, 100)) == 1
    assert control_status.status(live.app)["midi"]["learning"] == "a.cutoff"


async def test_learning_again_moves_the_parameter_to_another_knob_and_goes_before_the_patch(live: MidiStage) -> None:
    with_midi(live, cc_1="a.trim")
    client = live.client()
    for number in (1, 2):
        await client.ask("/learn", "/node/a/gain/norm")
        await live.play(0xB0, number, 64)
    assert await live.play(0xB0, 2, 127) == []
    assert live.app.executor.value("a", "gain") == 2.0
    await live.play(0xB0, 1, 0)
    assert (live.app.executor.value("a", "gain"), live.app.executor.value("a", "trim")) == (2.0, pytest.approx(-0.1))


async def test_a_knob_learned_for_a_node_that_is_not_here_plays_on(live: MidiStage, client: Client) -> None:
    await client.ask("/learn", "/node/a/gain")
    await live.play(0xB0, 1, 64)
    await client.ask("/node/remove", "a")
    live.engine.applied.clear()
    assert await live.play(0xB0, 1, 127) == [("control", K, 1, 1.0, 1)]


async def test_what_cannot_be_learned_is_said(live: MidiStage) -> None:
    async def answer(address: str) -> str:
        ((where, (_, reason)),) = await live.client().ask("/learn", address)
        assert where == "/fail"
        return str(reason)

    await accepted.compare_async(__file__, answer)


async def test_a_damaged_file_of_learned_controls_is_said_and_nothing_else(tmp_path: Path, home: Path) -> None:
    paths.make_folder(paths.config())
    for damaged in (b"", b"{", b"[]", b'{"format": 2}', b'{"format": 1, "controls": [1]}', b"[" * 100_000):
        (paths.config() / "midi.json").write_bytes(damaged)
        async with staged(tmp_path / f"state{len(damaged)}") as live:
            assert await live.play(0x90, 60, 127) == [("on", K, 60, 1.0, 1)]


async def test_a_pad_learned_for_a_cue_sends_it_and_plays_no_note(live: MidiStage, client: Client) -> None:
    await client.ask("/notify", 1)
    assert await client.ask("/learn", "/cue", "drop the beat") == []
    assert control_status.status(live.app)["midi"]["learning"] == "/cue drop the beat"
    assert await live.play(0x99, 40, 90, port="keys 20:0") == []
    heard = client.heard()
    assert ("/done", ("/learn", "/cue drop the beat", "note 40 10")) in heard
    assert ("/learned", ("/cue drop the beat", "note 40 10", "keys")) in heard
    assert heard.count(("/cue", ("drop the beat",))) == 1, "the press that is learned presses too"
    assert await live.play(0x89, 40, 0, 0x99, 40, 1, port="keys 20:0") == []
    assert client.heard() == [("/cue", ("drop the beat",))]
    assert await client.ask("/unlearn", "/cue", "drop the beat") == [("/unlearned", ("/cue drop the beat",))]
    assert len(await live.play(0x99, 40, 1, port="keys 20:0")) == 1
    for wrong in (("/cue",), ("/cue", ""), ("/cue", "a", "b"), ("/cue", 1)):
        ((address, _),) = await client.ask("/learn", *wrong)
        assert address == "/fail"


async def test_a_pedal_captures(live: MidiStage, monkeypatch: pytest.MonkeyPatch, client: Client) -> None:
    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr(
        live.engine, "capture", lambda path, *args: asked.append((Path(path).name[:2], *args[:2])), False
    )
    await client.ask("/notify", 1)
    assert await client.ask("/learn", "/capture", 2, "k") == []
    assert control_status.status(live.app)["midi"]["learning"] == "/capture 2 k"
    await live.play(0xB0, 66, 127)
    assert ("/done", ("/learn", "/capture 2 k", "cc 66 1")) in client.heard()
    await live.play(0xB0, 66, 127, 0xB0, 66, 0, 0xB0, 66, 127)
    assert asked == [("k-", K, 2)] * 2
    assert await client.ask("/learn", "/capture", 4) == []
    await live.play(0x99, 37, 90)
    assert asked[2][2] == 4
    assert "/capture 4" in (await client.ask("/learn/list"))[0][1]
    assert await client.ask("/unlearn", "/capture", 2, "k") == [("/unlearned", ("/capture 2 k",))]
    for wrong in (
        ("/capture",),
        ("/capture", 0),
        ("/capture", "x"),
        ("/capture", 2, "nowhere"),
        ("/capture", 2, "k", "n"),
    ):
        ((address, _),) = await client.ask("/learn", *wrong)
        assert address == "/fail", wrong


async def test_what_controllers_are_mapped_to_is_listed(live: MidiStage, client: Client) -> None:
    with_midi(live, cc_7_2="a.trim")
    assert await client.ask("/learn/list") == [("/learn/list.reply", ("/node/a/trim", "cc 7 2", ""))]
    for address, message in (("/node/a/gain", (0xB0, 21, 1)), ("/panic", (0x99, 36, 1))):
        await client.ask("/learn", address)
        await live.play(*message, port="keys 20:0")
    await client.ask("/learn", "/cue", "drop")
    await live.play(0xB0, 22, 1)
    client.heard()
    assert await client.ask("/learn/list") == [
        ("/learn/list.reply", (
            "/node/a/gain", "cc 21 1", "keys", "/panic", "note 36 10", "keys", "/cue drop", "cc 22 1", "antiphon",
            "/node/a/trim", "cc 7 2", "",
        )),
    ]  # fmt: skip


CC, N = 0xB0, 16383


def cc(*pairs: tuple[int, int]) -> list[int]:
    return [byte for number, value in pairs for byte in (CC, number, value)]


def wide(value: int, coarse: int, *, before: tuple[tuple[int, int], ...] = (), fine_first: bool = False) -> list[int]:
    """A value of 14 bits."""
    both = [(coarse, value >> 7), (coarse + 32, value & 127)]
    return cc(*before, *(both[::-1] if fine_first else both))


NRPN = ((99, 1), (98, 5))


async def test_what_a_control_is_told_by_what_it_sends(tmp_path: Path) -> None:
    """The control that is learned from the first messages, and where those behind them put the parameter."""
    names = {"cc": cc, "wide": wide, "NRPN": NRPN, "N": N}

    async def answer(call: str) -> str:
        async with staged(tmp_path / str(abs(hash(call)))) as live:
            client = live.client()
            await client.ask("/node/a/trim/norm", 64 / 127)
            await client.ask("/learn", "/node/a/trim")
            first, *turned = eval(call, names)
            for at in range(0, len(first), 3):
                await live.play(*first[at : at + 3])
            client.heard()
            ((_, (address, control, *_)),) = await client.ask("/learn/list")
            assert address == "/node/a/trim"
            trim = next(cell for cell in live.app.session.state.nodes["a"].cells if cell.name == "trim")
            places = []
            for sent in turned:
                await live.play(*sent)
                places.append(f"{127 * trim.to_norm(live.app.executor.value('a', 'trim')):.3f}")
            return f"{control}: {' '.join(places)}"

    await accepted.compare_async(Path(__file__).with_name("learned.py"), answer)


def test_faders_and_endless_controls_are_told_apart_by_their_first_values() -> None:
    jitters = [(70, 71, 70, 71), (50, 49, 50, 49), (10, 11, 10, 11), (70, 72, 73, 72), (70, 74, 71), (3, 61), (5, 70)]
    ways = {
        "absolute": [(10, 127), (0, 1), (64,), (20,), (63, 65, 67, 69), (1, 2, 3, 4), (15, 17), (9, 63), *jitters],
        "offset": [(65, 65), (63, 65, 63), (67, 70, 68), (66, 70, 62), (65, 66, 68, 67)],
        "twos": [(1, 1), (127, 1), (1, 65), (3, 5, 4), (8, 8), (4, 125), (126, 124, 126)],
        "": [(63,), (63, 65), (3, 5), (2, 66), (66, 65, 66), (125, 124, 122), (63, 65, 67)],
    }
    assert {way: [control_mode(values) for values in rows] for way, rows in ways.items()} == {
        way: [way] * len(rows) for way, rows in ways.items()
    }


async def test_a_word_says_how_an_endless_control_counts(live: MidiStage, tmp_path: Path, client: Client) -> None:
    await client.ask("/node/a/trim/norm", 64 / 127)
    await client.ask("/learn", "/node/a/trim", "sign")
    await live.play(CC, 25, 66)
    trim = next(cell for cell in live.app.session.state.nodes["a"].cells if cell.name == "trim")
    assert trim.to_norm(live.app.executor.value("a", "trim")) == pytest.approx(62 / 127, abs=1e-6)
    async with staged(tmp_path / "other") as later:
        await later.client().ask("/node/a/trim/norm", 64 / 127)
        await later.play(CC, 25, 65)
        assert trim.to_norm(later.app.executor.value("a", "trim")) == pytest.approx(63 / 127, abs=1e-6)
    client.heard()
    for wrong in (("/node/a/trim", "backwards"), ("/panic", "sign"), ("/node/a/trim", "sign", "x")):
        ((address, _),) = await client.ask("/learn", *wrong)
        assert address == "/fail"


async def test_what_says_one_end_alone_is_learned_after_a_while(
    live: MidiStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("antiphon_midi.ports_input.WAIT", 0.0)
    client = live.client()
    await client.ask("/learn", "/node/a/trim")
    await live.play(CC, 30, 127)
    live.midi.knobs.look()
    client.heard()
    assert [line[1][:2] for line in await client.ask("/learn/list")] == [("/node/a/trim", "cc 30 1")]
