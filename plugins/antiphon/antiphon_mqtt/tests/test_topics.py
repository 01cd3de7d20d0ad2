"""MQTT topics and payloads: any bytes give a finite number or a WireError; what is written is read back."""

import math
import struct

import pytest
from hypothesis import given, strategies as st
from tests import accepted
from tests.each import each

from antiphon.api import Param
from antiphon.api.backends.transports import WireError
from antiphon_mqtt import bridge

GAIN = Param("gain", default=1.0, low=-10.0, high=10.0)
MUTE = Param("mute", "switch", False)
MODE = Param("mode", "choice", "gate", choices=("gate", "wavelet", "both"))
STEPS = Param("steps", "int", 0, -1_000_000_000, 1_000_000_000)
FIRE = Param("fire", "trigger", False)
PARAMS = {"GAIN": GAIN, "MUTE": MUTE, "MODE": MODE, "STEPS": STEPS, "FIRE": FIRE}
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,63}", fullmatch=True)


@given(NAMES, NAMES)
def test_a_set_topic_names_node_and_parameter(node: str, param: str) -> None:
    assert bridge.target(f"antiphon/{node}/{param}/set") == (node, param)


@given(st.text(max_size=80))
def test_any_other_topic_is_refused(topic: str) -> None:
    parts = topic.split("/")
    if len(parts) == 4 and parts[::3] == ["antiphon", "set"] and parts[1] and parts[2]:
        return
    with pytest.raises(WireError):
        bridge.target(topic)


@each(
    "payload, number",
    [(b"0.5", 0.5), (b"-3", -3.0), (b"1e1", 10.0), (b"+.25", 0.25), (b"5.", 5.0), (b" 0.5\r\n", 0.5), (b"007", 7.0)],
)
def test_a_number_is_taken(payload: bytes, number: float) -> None:
    assert bridge.number(payload, GAIN) == number


def test_each_other_topic_and_payload_is_refused_in_a_sentence() -> None:
    known = {"target": bridge.target, "number": bridge.number, **PARAMS}
    accepted.compare(__file__, lambda call: accepted.refusal(lambda: eval(call, known)))


def test_true_and_false_are_for_a_switch_alone() -> None:
    assert bridge.number(b"true", MUTE) is True
    assert bridge.number(b"false\n", MUTE) is False
    assert bridge.number(b"1", MUTE) == 1.0


@given(st.binary(max_size=100))
def test_any_bytes_are_a_finite_number_or_refused(payload: bytes) -> None:
    for param in (GAIN, MUTE):
        try:
            found = bridge.number(payload, param)
        except WireError:
            continue
        assert math.isfinite(found)
        assert payload.strip() in (b"true", b"false") or float(payload) == found


@given(st.floats(-10.0, 10.0, width=32))
def test_a_float_told_is_read_back_as_the_same_32_bits(value: float) -> None:
    told = bridge.payload_of(GAIN, value)
    assert told is not None
    found = bridge.number(told, GAIN)
    assert abs(found - value) <= abs(value) * 5e-7
    assert bridge.payload_of(GAIN, struct.unpack("f", struct.pack("f", found))[0]) == told


@given(st.integers(-1_000_000_000, 1_000_000_000))
def test_a_whole_number_is_told_whole(value: int) -> None:
    assert bridge.payload_of(STEPS, value) == str(value).encode()


def test_what_is_told_of_each_kind() -> None:
    assert bridge.payload_of(GAIN, 0.30000001192092896) == b"0.3"
    assert bridge.payload_of(MUTE, True) == b"1"
    assert bridge.payload_of(MUTE, False) == b"0"
    assert [bridge.payload_of(MODE, word) for word in MODE.choices] == [b"0", b"1", b"2"]
    assert bridge.payload_of(FIRE, True) is None
    assert bridge.payload_of(Param("label", "text", ""), "x") is None
    assert bridge.payload_of(Param("file", "file", ""), "x.wav") is None
    assert bridge.payload_of(Param("level", readonly=True), math.nan) is None
