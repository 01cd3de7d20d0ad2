"""What is in other distributions: the table, the sentence, and what is listed where one is not installed."""

import pytest
from tests.sources import ROOT

from antiphon.doctor import software
from antiphon.jobs import live_sets
from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.errors import PatchError
from antiphon.kernel.graph import patch, patch_list
from antiphon.kernel.plugins.loader import load
from antiphon.kernel.runtime import distributions
from antiphon.networks.model_registry import examine_models
from antiphon.operations import lessons, lists

CATALOG = load(check=False).catalog


def of(distribution: str) -> set[str]:
    """Plugins of a folder, and their processors."""
    plugins = {place.name for place in (ROOT / "plugins" / distribution).glob("antiphon_*")}
    return {name.removeprefix("antiphon_") for name in plugins} | {
        name for name, info in CATALOG.types.items() if info.plugin in plugins
    }


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Catalog:
    """The catalog of `antiphon` without the others."""
    monkeypatch.setattr(distributions, "_is_installed", lambda distribution: False)
    monkeypatch.setattr(patch_list, "_listings", {})
    lacking = distributions.absent()
    return Catalog({name: info for name, info in CATALOG.types.items() if name not in lacking})


@pytest.mark.needs("hum", "denoise", "host")
def test_the_table_is_what_the_folders_have() -> None:
    assert {name: set(names) for name, names in distributions.ADDED.items()} == {
        name: of(name) for name in distributions.ADDED
    }


def test_the_sentence(alone: Catalog) -> None:
    said = "the node hum is in antiphon-companion: pip install antiphon-companion"
    assert distributions.advice("node", "hum") == said
    said_of_lab = "the command evaluate is in antiphon-lab: pip install antiphon-lab"
    assert distributions.advice("command", "evaluate") == said_of_lab
    assert distributions.advice("node", "gain") == distributions.advice("node", "nope") == ""
    with pytest.raises(PatchError, match=said):
        patch.load("garden", alone)


def test_what_is_listed_alone_can_be_loaded(alone: Catalog) -> None:
    names = patch_list.names()
    assert {"band", "dub", "tidal", "keys"} <= {*names}
    assert not {"garden", "karaoke", "unmix"} & {*names}
    for name in names:
        assert patch.load(name, alone).graph.nodes, name
    assert patch_list.names("live") == [], "their patches denoise and answer"
    assert lists.sets(lists.SetsRequest()) == []
    assert "dub" in live_sets.live_sets()
    assert not {"round", "unmix"} & live_sets.live_sets().keys()


@pytest.mark.usefixtures("alone")
def test_the_doctor_names_what_is_not_installed_and_misses_none_of_its_weights() -> None:
    found = {(item.subject, item.state): item.mend for item in software.plugins()}
    assert found["antiphon-companion", "missing"] == "pip install antiphon-companion"
    assert examine_models({}) == []
    assert [*software.check_weights(), *software.check_voices()] == []


def test_a_node_that_is_optional_is_left_out_where_it_is_not(alone: Catalog) -> None:
    assert patch.load("band", CATALOG).graph.has("hum") == ("hum" in CATALOG)
    band = patch.load("band", alone).graph
    assert not band.has("hum")
    assert all("hum" not in (wire.source.node, wire.dest.node) for wire in band.wires)
    text = 'format = 1\n[nodes.hum]\noptional = 1\n[wires]\n"in" = "out"\n'
    with pytest.raises(PatchError, match=r"optional.*takes true or false, not 1"):
        patch.parse(text, alone)


def test_lessons_are_those_whose_plugins_are_here(alone: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    lessons.lessons.cache_clear()
    try:
        found = {(lesson.head.path, lesson.name) for lesson in lessons.lessons()}
    finally:
        lessons.lessons.cache_clear()
    assert ("code", "01-first-sound") in found
    assert not {("files", "02-apart"), ("play", "04-a-band")} & found
