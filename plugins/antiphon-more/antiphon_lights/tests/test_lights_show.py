"""Tables are read or refused, and rendered to frames; packets are as their standards lay them out."""

import json
import math
import re
import struct
import tomllib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.accepted import compare, refusal

from antiphon.api.backends.files import Misfit
from antiphon.kernel.contract.catalog import Catalog, TransportInfo
from antiphon.kernel.errors import PatchError
from antiphon.kernel.graph.patch import dump, parse
from antiphon.reloading.patch_watch import changes
from antiphon_lights.sending import STROBE, Clock, FlashLimit, LightShow, steps
from antiphon_lights.table import WaveSource, read
from antiphon_lights.targets import art_dmx, os2l, sacn_group, sacn_packet
from antiphon_lights.transport import LightsTransport

CATALOG = Catalog(transports=(TransportInfo("lights", "", "antiphon_lights", (), LightsTransport.table),))
BRIGHT = WaveSource("value", node="macro", param="bright")
HEAD = "format = 1\n\n[lights]\n"
RIG = """
fade = 4

[lights.fixtures.par]
universe = 1
channel = 1
channels = ["red", "green", "blue"]

[lights.fixtures.bar]
universe = 2
channel = 509
channels = ["one", "two", "three", "four"]

[lights.looks.warm]
par = [1.0, 0.5, 0.0]
bar = 1.0

[lights.looks.cold]
par.blue = 1.0

[lights.scenes]
0 = "warm"
7 = "cold"
"""


def desk(more: str = "", strobe: float = STROBE) -> LightShow:
    return LightShow(read(tomllib.loads(HEAD + RIG + more)["lights"]), strobe)


def at(beat: float, bpm: float = 120.0, playing: bool = True, bar: int = 4) -> Clock:
    return Clock(beat, beat * 60.0 / bpm, bpm, bar, playing)


def par(frame: NDArray[np.uint8]) -> list[int]:
    return [int(value) for value in frame[:3]]


def bars(frame: NDArray[np.uint8]) -> list[int]:
    return [int(value) for value in frame[512 + 508 : 1024]]


def places(first: float, last: float, bpm: float) -> list[float]:
    """Beats of the frames from a beat, before another."""
    count = steps(bpm)
    return [place / count for place in range(math.ceil(first * count - 1e-9), math.ceil(last * count - 1e-9))]


def rendered(shown: LightShow, first: float, last: float, bpm: float) -> NDArray[np.uint8]:
    """Frames of those beats, one a row, as a receiver gets them."""
    limit = FlashLimit(shown.rig.slots, shown.strobe)
    frames = [limit.limit(shown.frame(at(beat, bpm)), at(beat, bpm).seconds) for beat in places(first, last, bpm)]
    return np.array(frames)


def flashes(light: NDArray[np.uint8]) -> int:
    """Rises by more than a tenth after a fall by as much."""
    count, low, high, up = 0, 0, 0, False
    for value in map(int, light):
        if up:
            high = max(high, value)
            if value <= high - 26:
                up, low = False, value
        else:
            low = min(low, value)
            if value >= low + 26:
                count, up, high = count + 1, True, value
    return count


# ---- packets


def test_art_dmx_is_laid_out_as_published() -> None:
    slots = bytes(range(256)) * 2
    packet = art_dmx(0x1234 + 1, 7, slots)
    assert packet[:8] == b"Art-Net\0"
    assert packet[8:10] == b"\x00\x50"  # the opcode, low byte first
    assert packet[10:12] == b"\x00\x0e"  # the version, high byte first
    assert packet[12] == 7
    assert packet[13] == 0
    assert packet[14] == 0x34
    assert packet[15] == 0x12
    assert packet[16:18] == b"\x02\x00"
    assert packet[18:] == slots


def test_sacn_is_laid_out_as_published() -> None:
    slots = bytes(range(256)) * 2
    packet = sacn_packet(b"c" * 16, 7962, 200, slots, 0x40)
    assert len(packet) == 638
    assert packet[:16] == b"\x00\x10\x00\x00ASC-E1.17\x00\x00\x00"
    assert packet[16:38] == b"\x72\x6e" + b"\x00\x00\x00\x04" + b"c" * 16
    assert packet[38:44] == b"\x72\x58" + b"\x00\x00\x00\x02"
    assert packet[44:108] == b"Antiphon".ljust(64, b"\0")
    assert packet[108:115] == struct.pack(">BHBBH", 100, 0, 200, 0x40, 7962)
    assert packet[115:126] == b"\x72\x0b\x02\xa1\x00\x00\x00\x01\x02\x01\x00"
    assert packet[126:] == slots
    assert sacn_group(7962) == "239.255.31.26"
    assert sacn_group(1) == "239.255.0.1"


def test_os2l_is_a_line_of_json() -> None:
    assert json.loads(os2l("beat", change=False, pos=3, bpm=121.5, strength=50.0)) == {
        "evt": "beat", "change": False, "pos": 3, "bpm": 121.5, "strength": 50.0,
    }  # fmt: skip


# ---- frames


def test_the_first_look_is_shown_and_others_fade_in_beats() -> None:
    shown = desk()
    assert par(shown.frame(at(0.0))) == [255, 128, 0]
    assert bars(shown.frame(at(0.0))) == [255] * 4
    shown.show("cold", 8.0, 4.0)
    assert par(shown.frame(at(7.9))) == [255, 128, 0]
    assert par(shown.frame(at(9.0))) == [191, 96, 64]
    assert bars(shown.frame(at(9.0))) == [191] * 4
    assert par(shown.frame(at(12.0))) == [0, 0, 255]
    # an earlier receiver's frame is not changed by what a later one asked
    assert par(shown.frame(at(9.0))) == [191, 96, 64]


def test_a_fade_that_is_interrupted_goes_on_from_where_it_is() -> None:
    shown = desk()
    shown.show("cold", 0.0, 4.0)
    shown.show("warm", 2.0, 2.0)
    assert par(shown.frame(at(2.0))) == [128, 64, 128]
    assert par(shown.frame(at(3.0))) == [191, 96, 64]
    assert par(shown.frame(at(4.0))) == [255, 128, 0]


def test_a_look_is_shown_at_once_while_the_beat_stands_and_after_a_jump() -> None:
    shown = desk()
    shown.show("cold", 100.0, 4.0)
    assert par(shown.frame(at(100.0, playing=False))) == [0, 0, 255]
    shown.jump()
    assert par(shown.frame(at(0.0))) == [0, 0, 255]


@pytest.mark.parametrize(
    ("effect", "expected"),
    [
        ('on = "beat"', {0.0: 255, 0.25: 191, 0.75: 64, 1.0: 255}),
        ('on = "beat"\nshape = "rise"\ndepth = 0.5', {0.0: 128, 0.5: 191}),
        ('on = "beat"\nevery = 2\nshape = "sine"', {0.0: 0, 1.0: 255, 2.0: 0}),
        ('on = "bar"', {0.0: 255, 1.0: 191, 3.0: 64, 4.0: 255}),
        ('on = "beat"\nshape = "strobe"', {0.0: 255, 0.49: 255, 0.5: 0, 1.0: 255}),
        ('on = "section"\nevery = 8', {15.9: 0, 16.0: 255, 20.0: 128, 24.0: 0}),
        ('on = "note c2 drums"', {9.9: 0, 10.0: 127, 10.5: 64, 11.0: 0}),
        ('on = "macro.bright"', {0.0: 102}),
        ('on = "level drums"', {0.0: 51}),
    ],
)
def test_an_effect_follows_what_drives_it(effect: str, expected: dict[float, int]) -> None:
    shown = desk(f'[lights.effects.one]\nof = ["par.red"]\n{effect}\n')
    shown.section = 16.0
    shown.levels.update({BRIGHT: 0.4, WaveSource("value", node="drums"): 0.2})
    shown.strike(36, "bass", 3.0, 1.0)
    shown.strike(36, "drums", 5.0, 0.5)
    shown.strike(36, "drums", 60.0, 1.0)  # to come
    assert {beat: par(shown.frame(at(beat)))[0] for beat in expected} == pytest.approx(expected, abs=1)
    assert par(shown.frame(at(0.0)))[1] == 128


def test_a_chase_runs_through_its_channels() -> None:
    shown = desk('[lights.effects.run]\non = "bar"\nof = ["bar"]\nshape = "chase"\n')
    lit = [bars(shown.frame(at(beat))).index(255) for beat in (0.0, 1.0, 2.9, 3.0, 4.0)]
    assert lit == [0, 1, 2, 3, 0]


def test_blackout_is_dark_until_a_look() -> None:
    shown = desk('[lights.effects.one]\non = "beat"\nof = ["par"]\nshape = "strobe"\n')
    shown.dark = True
    assert not shown.frame(at(0.0)).any()
    shown.show("warm", 0.0, 0.0)
    assert par(shown.frame(at(0.0))) == [255, 128, 0]


@pytest.mark.parametrize("drive", ["beat", "note c2", "macro.bright"])
@pytest.mark.parametrize("limit", [10.0, 4.0])
def test_no_channel_flashes_more_often_than_is_allowed(drive: str, limit: float) -> None:
    shown = desk(f'[lights.effects.one]\non = "{drive}"\nof = ["par"]\nshape = "strobe"\nevery = 0.0625\n', limit)
    limiter, frames = FlashLimit(shown.rig.slots, limit), []
    for number, beat in enumerate(places(0.0, 20.0, 120.0)):
        shown.levels[BRIGHT] = float(number % 2)
        if number % 2:
            shown.strike(36, "drums", at(beat).seconds, 1.0)
        frames.append(limiter.limit(shown.frame(at(beat)), at(beat).seconds))
    found = flashes(np.array(frames)[:, 0])
    assert 0.8 * 10 * limit <= found <= 10 * limit + 1


def test_the_limit_leaves_fades_and_slower_flashes_alone() -> None:
    shown = desk('[lights.effects.one]\non = "beat"\nof = ["par.red"]\nevery = 0.25\n')
    shown.show("cold", 0.0, 0.5)
    shown.show("warm", 0.5, 0.5)
    limited = rendered(shown, 0.0, 8.0, 120.0)
    assert (limited == np.array([shown.frame(at(beat)) for beat in places(0.0, 8.0, 120.0)])).all()
    assert flashes(limited[20:, 0]) == 28


def test_a_clock_that_begins_anew_holds_nothing_back() -> None:
    limit, full = FlashLimit(1, 10.0), np.full(1, 255, np.uint8)
    assert [int(limit.limit(one, at)[0]) for one, at in ((full, 5000.0), (0 * full, 5000.05), (full, 0.0))] == [
        255,
        0,
        255,
    ]


def test_frames_fall_on_the_beat_and_are_at_most_44_a_second() -> None:
    for bpm in (10.0, 61.7, 120.0, 174.0, 999.0):
        assert steps(bpm) * bpm / 60.0 <= 44.0
        assert {0.0, 1.0, 2.0} <= set(places(0.0, 3.0, bpm))
    assert steps(120.0) == 20
    assert places(0.99, 1.05, 120.0) == [1.0]


def test_the_same_clock_and_values_give_the_same_frames() -> None:
    made = []
    for _ in range(2):
        shown = desk(
            '[lights.effects.one]\non = "note c2"\nof = ["bar"]\n[lights.effects.two]\non = "beat"\nof = ["par"]\n'
        )
        shown.strike(36, "drums", 1.0, 0.8)
        shown.show("cold", 3.0, 2.0)
        made.append(rendered(shown, 0.0, 8.0, 133.0).tobytes())
    assert made[0] == made[1]
    assert len(set(made[0])) > 50


# ---- tables


def test_a_patch_keeps_its_lights() -> None:
    patch = parse("format = 1\n\n[lights]\n" + RIG, CATALOG, "lit.toml")
    assert parse(dump(patch), CATALOG).tables == patch.tables != {}
    assert read({}).slots == 0


@pytest.mark.parametrize("missing", ["", "lights = 3"])
def test_lights_are_a_table_of_a_patch_only_where_the_plugin_is(missing: str) -> None:
    with pytest.raises(PatchError, match="lit.toml, line 2, 'lights'" if missing else "is not a key of a patch"):
        parse(f"format = 1\n{missing or '[lights]'}\n", CATALOG if missing else Catalog(), "lit.toml")


def test_the_card_s_example_is_read() -> None:
    card = (Path(__file__).parents[1] / "README.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", card, re.DOTALL)
    assert list(parse(example, CATALOG).tables["lights"]["looks"]) == ["warm", "cold"]


def test_a_catalog_keeps_its_tables_and_a_reload_names_one_that_changed() -> None:
    assert Catalog.from_json(CATALOG.to_json()).tables() == {"lights": "antiphon_lights.table:read"}
    patches = [parse(f"format = 1\n[lights]\nfixtures = {{}}\nfade = {fade}\n", CATALOG) for fade in (1, 2)]
    assert list(changes(*patches)) == ["lights"]


def refused(bad: str) -> str:
    """What is said to a table with some lines in place of, or after, those of `RIG`."""
    whole = HEAD + (RIG + bad if bad.startswith("[") else bad + RIG.replace("fade = 4", ""))
    if bad.startswith("[lights.scenes]"):
        whole = (HEAD + RIG).partition("[lights.scenes]")[0] + bad
    return refusal(lambda: parse(whole, CATALOG, "lit.toml"))


def test_a_bad_table_is_refused_with_file_line_and_key() -> None:
    compare(__file__, refused)


def test_too_much_is_refused() -> None:
    many = {f"f{n}": {"universe": n + 1, "channel": 1, "channels": ["x"]} for n in range(65)}
    with pytest.raises(Misfit, match="at most 64"):
        read({"fixtures": many})
    with pytest.raises(Misfit, match="at most 128"):
        read({"fixtures": {}, "looks": {f"l{n}": {} for n in range(129)}})


def test_time_without_a_beat_is_no_error() -> None:
    assert math.isinf(desk().section)
