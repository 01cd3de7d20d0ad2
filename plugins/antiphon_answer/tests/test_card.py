"""The card tells the truth about parameters."""

from __future__ import annotations

from pathlib import Path

from antiphon_answer.processor import Answer

CARD = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_every_parameter_is_in_the_table() -> None:
    for param in Answer.params:
        row = next((line for line in CARD.splitlines() if line.startswith(f"| `{param.name}` |")), None)
        assert row is not None, param.name
        assert param.doc in row
        assert param.readonly or param.kind == "choice" or param.allowed in row


def test_choices_are_all_named() -> None:
    for param in Answer.params:
        row = next(line for line in CARD.splitlines() if line.startswith(f"| `{param.name}` |"))
        assert all(choice in row for choice in param.choices)
