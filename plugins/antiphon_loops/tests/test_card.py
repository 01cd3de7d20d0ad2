"""The card tells the truth about the rules."""

from __future__ import annotations

import tomllib
from pathlib import Path

from antiphon_loops.rules import Rules, change_rules

CARD = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_rules_shown_are_those_in_force():
    text = CARD.split("```toml\n")[1].split("```")[0]
    assert change_rules(Rules(choices=1, section=1), tomllib.loads(text), "") == Rules()
