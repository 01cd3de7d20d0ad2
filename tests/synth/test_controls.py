"""One line of text: what else is set of a SynthDef."""

import pytest
from tests import accepted

from antiphon.kernel.synth.controls import Dial, parse


def test_numbers_and_ranges():
    found = parse("cutoff=800 density=1:200 tone=200:8000:log  pan=-1:1")
    assert found.fixed == (("cutoff", 800.0),)
    assert found.dials == (Dial("density", 1.0, 200.0), Dial("tone", 200.0, 8000.0, True), Dial("pan", -1.0, 1.0))
    assert parse("").names == ()


def test_a_dial_goes_from_end_to_end():
    assert [Dial("x", -1.0, 3.0).value(p) for p in (0.0, 0.25, 1.0, 7.0)] == [-1.0, 0.0, 3.0, 3.0]
    assert Dial("x", 100.0, 10000.0, True).value(0.5) == pytest.approx(1000.0)
    assert Dial("x", 2.0, 1.0).value(1.0) == 1.0


def test_what_makes_no_sense_is_refused():
    accepted.compare(__file__, lambda text: accepted.refusal(lambda: parse(text)))
