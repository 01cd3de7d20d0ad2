"""What is not installed: the extra or other distribution that brings it, and what is listed without it."""

import re
import tomllib

import pytest
from tests import accepted
from tests.sources import PROJECTS, ROOT

from antiphon.doctor import software
from antiphon.jobs import live_sets
from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.errors import PatchError, UsageError
from antiphon.kernel.graph import patch
from antiphon.kernel.plugins.loader import load
from antiphon.kernel.runtime import extras
from antiphon.kernel.runtime.shortening import short_repr, shorten
from antiphon.kernel.runtime.suggestion import MAX_LIST_LETTERS, instead, list_names, nearest_names
from antiphon.lessons import lessons
from antiphon.networks.info import examine_models
from antiphon.operations import lists, patch_list

MODULES = {
    "LinkPython-extern": "link",
    "apache-beam": "apache_beam",
    "scikit-learn": "sklearn",
    "mir_eval": "mir_eval",
    "tensorflow-cpu": "tensorflow",
    "hibari-tts": "hibari",
    "swift-f0": "swift_f0",
}
"""By package, its module where that is not its name."""
FOR_ANOTHER = {"fastprogress"}
"""Packages that Antiphon does not import, listed for the version alone."""


def declared() -> dict[str, list[str]]:
    """The extras of all distributions; `antiphon` passes the names of the others on."""
    ours, *others, lab = (tomllib.loads(file.read_text())["project"] for file in PROJECTS)
    found = dict(ours["optional-dependencies"])
    for other in others:
        for extra, packages in other.get("optional-dependencies", {}).items():
            assert found[extra] == [f"{other['name']}[{extra}]"]
            found[extra] = packages
    assert found.pop("all") == [f"{other['name']}=={other['version']}" for other in others]
    assert set(lab["optional-dependencies"]) == extras.LAB
    assert not set(found) & extras.LAB
    return {**found, **lab["optional-dependencies"]}


@pytest.mark.needs("hum", "library", "host")
def test_every_package_of_an_extra_is_known_by_its_module() -> None:
    for extra, packages in declared().items():
        if extra in ("dev", "testing") or packages in ([], ["antiphon[containers]"]):  # of tests; former names
            continue
        assert extra in ("sklearn", "torch") or extra in extras.EXTRAS.values(), extra
        for text in packages:
            package = re.split(r"[\[<>=; ]", text, maxsplit=1)[0]
            module = MODULES.get(package, package)
            if package not in ("antiphon", "antiphon-lab") and module not in FOR_ANOTHER:
                assert module in extras.EXTRAS, f"{package} of the extra {extra}"


@pytest.mark.needs("hum", "library", "host")
def test_the_extra_that_is_named_brings_the_module() -> None:
    project = declared()
    names = {module: package for package, module in MODULES.items()}
    for module, extra in extras.EXTRAS.items():
        if module not in ("pyarrow", "dask", "distributed"):  # Beam's own
            assert any(text.startswith(names.get(module, module)) for text in project[extra]), module


def test_each_sentence() -> None:
    names = ("answer", "denoise", "feedback", "gain")

    def nearest(name: str) -> str:
        return (nearest_names(name, names) or ("",))[0] or "none"

    accepted.compare_calls(__file__, sentence=extras.sentence, nearest=nearest)


def test_only_what_is_missing_is_refused() -> None:
    extras.require("this", ["json", "numpy"])
    with pytest.raises(UsageError, match=r"^this needs unheard_of, which is not installed"):
        extras.require("this", ["json", "unheard_of"])


def test_an_unknown_module_is_a_fault_and_no_sentence() -> None:
    assert extras.of_error("this", ModuleNotFoundError(name="antiphon.nowhere")) == ""
    assert extras.of_error("this", ModuleNotFoundError(name="pyarrow.parquet")).startswith("this needs pyarrow, ")


def test_a_long_list_is_cut_and_counted() -> None:
    names = [f"name-{n}" for n in range(1000)]
    text = list_names(names)
    shown = text.partition(", and ")[0].split(", ")
    assert len(text) < MAX_LIST_LETTERS + 30
    assert text.endswith(f", and {1000 - len(shown)} more")
    assert shown == names[: len(shown)]
    assert "did you mean name-999" in instead("nam-999", names)


def test_a_name_of_a_stranger_that_is_longer_than_any_is_compared_with_none() -> None:
    assert nearest_names("a" * 65, ["a" * 64]) == ()


def test_a_text_is_cut_where_it_is_too_long_and_nowhere_else():
    assert shorten("x" * 40) == "x" * 40
    assert shorten("x" * 41) == "x" * 37 + "..."
    assert len(shorten("x" * 500, 60)) == 60


def test_a_value_is_written_as_python_does():
    assert short_repr("a'b") == '"a\'b"'
    assert short_repr("y" * 100) == "'" + "y" * 36 + "..."
    assert short_repr(1 << 20_000) == "a number of thousands of digits"


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
    monkeypatch.setattr(extras, "_is_installed", lambda distribution: False)
    monkeypatch.setattr(patch_list, "_listings", {})
    lacking = extras.absent()
    return Catalog({name: info for name, info in CATALOG.types.items() if name not in lacking})


@pytest.mark.needs("hum", "denoise", "host")
def test_the_table_is_what_the_folders_have() -> None:
    assert {name: set(names) for name, names in extras.ADDED.items()} == {name: of(name) for name in extras.ADDED}


def test_the_sentence_for_another_distribution(alone: Catalog) -> None:
    said = "the node hum is in antiphon-companion: pip install antiphon-companion"
    assert extras.advice("node", "hum") == said
    said_of_lab = "the command evaluate is in antiphon-lab: pip install antiphon-lab"
    assert extras.advice("command", "evaluate") == said_of_lab
    assert extras.advice("node", "gain") == extras.advice("node", "nope") == ""
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
