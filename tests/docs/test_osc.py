"""`docs/osc.md` says what the code declares."""

import re
from pathlib import Path

from tools.lists import find_outdated_lists
from tools.osc_reference import built_in, markdown

from antiphon.backends.backend import INSTRUMENTS, MORE_INSTRUMENTS
from antiphon.kernel.control.osc.addresses import ADDRESSES

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "osc.md"
CATALOG = built_in()
TYPES = CATALOG.types


def test_the_page_is_the_declarations() -> None:
    assert PAGE.read_text() == markdown(CATALOG), "run: python tools/osc_reference.py > docs/osc.md"


def test_every_address_and_every_processor_is_in_it() -> None:
    page = PAGE.read_text()
    for item in ADDRESSES:
        assert re.search(rf"^- `{re.escape(item.path)}[ `]", page, re.MULTILINE)
        assert item.doc in page
    for name, info in TYPES.items():
        (row,) = (line for line in page.splitlines() if f"/{info.plugin}/README.md): " in line)
        assert f"`{name}`" in row


def test_a_card_has_every_parameter_of_its_processors() -> None:
    for name in TYPES:
        info = TYPES[name]
        card = next(ROOT.glob(f"plugins/*/{info.plugin}/README.md")).read_text()
        named = {word for words in re.findall(r"`([a-z0-9_, ]+)`", card) for word in re.split("[, ]+", words)}
        # of numbered ones, kind1 to kind8, the first is enough
        assert {param.name for param in info.params if not re.search(r"([2-9]|1\d)$", param.name)} - named == set()


def test_lists_of_addresses_and_in_cards_are_the_declarations() -> None:
    assert find_outdated_lists() == {}, "run: make docs"


def test_the_synth_names_every_instrument_and_what_plays_it() -> None:
    everybody, _, scsynth = TYPES["synth"].doc.partition(", by scsynth alone ")
    assert [name for name in INSTRUMENTS if name not in everybody] == []
    assert [name for name in MORE_INSTRUMENTS if name not in scsynth] == []
