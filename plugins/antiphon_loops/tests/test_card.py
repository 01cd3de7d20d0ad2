"""The card tells the truth about the parameters and the rules."""

import tomllib
from pathlib import Path

import msgspec

from antiphon_loops.rules import Rules

CARD = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_rules_shown_are_those_in_force():
    text = CARD.split("```toml\n")[1].split("```")[0]
    assert msgspec.convert(tomllib.loads(text), Rules) == Rules()
    assert set(tomllib.loads(text)) <= set(Rules.__struct_fields__)
