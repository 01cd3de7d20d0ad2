"""`docs/osc.md` says what the code declares."""

from __future__ import annotations

from pathlib import Path

from antiphon.control.osc.addresses import ADDRESSES
from antiphon.control.osc.reference import built_in, markdown
from antiphon.synth.backend import INSTRUMENTS, MORE_INSTRUMENTS

PAGE = Path(__file__).parents[2] / "docs" / "osc.md"


def test_the_page_is_the_declarations() -> None:
    assert PAGE.read_text() == markdown(built_in()), "run: python -m antiphon.control.osc.reference > docs/osc.md"


def test_every_address_and_every_processor_is_in_it() -> None:
    page = PAGE.read_text()
    for item in ADDRESSES:
        assert f"| `{item.path}` |" in page
        assert item.doc in page
    for name, info in built_in().types.items():
        assert f"### {name}\n" in page
        for param in info.params:
            assert f"| `{param.name}` |" in page


def test_the_synth_names_every_instrument_and_what_plays_it() -> None:
    everybody, _, scsynth = built_in().types["synth"].doc.partition(", by scsynth alone ")
    assert [name for name in INSTRUMENTS if name not in everybody] == []
    assert [name for name in MORE_INSTRUMENTS if name not in scsynth] == []
