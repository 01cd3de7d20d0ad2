"""What clients of SuperDirt put on the wire, byte for byte.

Strudel: the controls of packages/osc/osc.mjs (`parseControlsFromHap`: cps, cycle, delta, then the event's own in their
order; `bank` also joined to `s`; a note's name also as `midinote`), encoded by its library, osc-js 2.4.1: whole numbers
are `i`, others `f`, switches `T` and `F`; time tags are whole milliseconds.

Sardine: the fields of sardine_core/handlers/superdirt.py (sorted by name; `sound` with the number behind a colon, which
may be "1.0"; panic as a sound), encoded by its library, osc4py3 1.0.8.

Tidal: as 1.7.10 sends it; tests/real has Tidal itself.
"""

import pytest

from antiphon.api.backends.transports import Bundle, Message, decode
from antiphon_dirt.fields import DirtEvent, read

STRUDEL_BANK = (
    "2362756e646c6500e8fe6f8040000000000000b42f646972742f706c617900002c7366736973667373737373697366736973697369736900"
    "637073003f0000006379636c650000000000000464656c74610000003e80000073000000526f6c616e645452383038626400000062616e6b"
    "00000000526f6c616e645452383038006e0000000000000173706565640000003fc000006375746f6666000000000320726f6f6d73697a65"
    "000000000000000273697a6500000000000000026f7262697400000000000001"
)
"""`s("bd").bank("RolandTR808").n(1).speed(1.5).cutoff(800).roomsize(2).orbit(1)`"""
STRUDEL_NOTE = (
    "2362756e646c6500e8fe6f80400000000000007c2f646972742f706c617900002c7366736673697373737373697354736600000063707300"
    "3f0000006379636c650000003f00000064656c74610000000000000173000000736177746f6f7468000000006e6f74650000000063330000"
    "6d6964696e6f74650000000000000030636c69700000000070616e003e800000"
)
"""`note("c3").s("sawtooth").clip(true).pan(.25)`"""
SARDINE = (
    "2362756e646c6500e8fe6f80400000000000007c2f646972742f706c617900002c7366736973697366736973667373736900000063707300"
    "3f0000006375746f666600000000012c6379636c650000000000000c6c656761746f00003f0000006f726269740000000000000070616e00"
    "3e800000736f756e6400000062643a3200000000737065656400000000000001"
)
"""`D("bd", n=2, cutoff=300, legato=0.5, pan=0.25, speed=1)`"""
SARDINE_FREQ = (
    "2362756e646c6500e8fe6f8040000000000000542f646972742f706c617900002c7366736973667369737300637073003f0000006379636c"
    "650000000000000c66726571000000004402d0006f7262697400000000000000736f756e6400000062643a312e300000"
)
SARDINE_PANIC = (
    "2362756e646c6500e8fe6f8040000000000000242f646972742f706c617900002c737300736f756e64000000737570657270616e69630000"
)
TIDAL = (
    "2362756e646c6500eeaa6d06f7b580000000004c2f646972742f706c617900002c73737366736673667373005f69645f0000000031000000"
    "637073003f0000006379636c650000003f80000064656c74610000003f0000007300000062640000"
)
"""`d1 $ sound "bd*4"`"""


def event_of(packet: str) -> DirtEvent:
    bundle = decode(bytes.fromhex(packet))
    assert isinstance(bundle, Bundle)
    (message,) = bundle.items
    assert isinstance(message, Message)
    assert message.address == b"/dirt/play"
    return read(message.args)


@pytest.mark.parametrize(
    ("packet", "sound", "numbers", "ignored"),
    [
        (
            STRUDEL_BANK,
            "RolandTR808bd",
            {"cps": 0.5, "delta": 0.25, "n": 1.0, "speed": 1.5, "lpf": 800.0, "size": 2.0, "orbit": 1.0},
            (),
        ),
        (STRUDEL_NOTE, "sawtooth", {"cps": 0.5, "delta": 1.0, "midinote": 48.0, "legato": 1.0, "pan": 0.25}, ("note",)),
        (
            SARDINE,
            "bd",
            {"cps": 0.5, "n": 2.0, "lpf": 300.0, "legato": 0.5, "orbit": 0.0, "pan": 0.25, "speed": 1.0},
            (),
        ),
        (SARDINE_FREQ, "bd", {"cps": 0.5, "n": 1.0, "freq": 523.25, "orbit": 0.0}, ()),
        (SARDINE_PANIC, "superpanic", {}, ()),
        (TIDAL, "bd", {"cps": 0.5, "delta": 0.5}, ()),
    ],
)
def test_the_bytes_of_a_client_are_its_event(
    packet: str, sound: str, numbers: dict[str, float], ignored: tuple[str, ...]
) -> None:
    event = event_of(packet)
    assert (event.sound, dict(event.numbers), event.ignored) == (sound, numbers, ignored)


def test_a_bank_that_the_name_lacks_is_put_before_it() -> None:
    assert read(("s", "bd", "bank", "tr808")).sound == "tr808_bd"
    assert read(("s", "tr808bd", "bank", "tr808")).sound == "tr808bd"
    assert read(("s", "bd", "bank", "")).sound == "bd"


@pytest.mark.parametrize(
    ("value", "number"),
    [("1", 1.0), ("-0.5", -0.5), ("1e9", None), ("c1", None), ("", None), ("0x1", None), (True, 1.0)],
)
def test_a_number_that_comes_as_text_is_one(value: object, number: float | None) -> None:
    event = read(("s", "bd", "orbit", value))  # type: ignore[arg-type]
    assert event.numbers.get("orbit") == number
    assert event.ignored == (() if number is not None else ("orbit",))


def test_fifty_thousand_fields_are_a_sentence() -> None:
    with pytest.raises(Exception, match="at most 128 names; 50000 were sent"):
        read(tuple(item for n in range(50_000) for item in (f"x{n}", 1.0)))
