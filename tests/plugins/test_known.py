"""Declarations on disk: the same catalog without an import, until a source changes."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from antiphon.kernel.plugins import known, loader
from antiphon.kernel.plugins.collecting import PluginLoading
from antiphon.kernel.plugins.finding import sources
from antiphon.kernel.runtime.importing import remove_modules


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("ANTIPHON_HOME", str(tmp_path))
    yield
    remove_modules("mine")  # other tests have plugins of that name


def made_of() -> str:
    return known.stamp(source.folder for source in sources() if source.built_in)


def test_a_second_start_declares_the_same_and_inspects_nothing() -> None:
    first = loader.load(check=False)
    held = known.read(made_of())
    assert held is not None
    loading = PluginLoading(check=False, known=held)
    for source in sources():
        loading.add(source.name, source.importing)
    assert loading.inspected == 0
    assert loading.catalog().to_json() == first.catalog.to_json()
    second = loader.load(check=False)
    assert second.catalog.to_json() == first.catalog.to_json()
    for kind in known.KINDS:
        assert set(loading.factories[kind]) == set(second.factories[kind]) == set(first.factories[kind])


def test_a_folder_with_the_name_of_a_built_in_plugin_fails_at_each_start(tmp_path: Path) -> None:
    folder = tmp_path / "own" / "antiphon_utilities"
    folder.mkdir(parents=True)
    for _ in range(2):
        (failure,) = loader.load(tmp_path / "own", check=False).catalog.failures
        assert "has the name of a plugin that is already loaded" in failure.reason
        loader.load(check=False)


def test_what_was_written_beside_a_plugin_that_is_gone_is_written_again(tmp_path: Path) -> None:
    package = tmp_path / "own" / "mine"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        "from antiphon.api import hookimpl\n@hookimpl\ndef antiphon_processors(register): pass\n"
    )
    assert not loader.load(tmp_path / "own", check=False).catalog.failures
    shutil.rmtree(package)
    found = [loader.load(tmp_path / "own", check=False).factories for _ in range(2)]
    assert [isinstance(one, loader.KnownFactories) for one in found] == [False, True]


def test_a_changed_source_is_inspected_again(tmp_path: Path) -> None:
    package = tmp_path / "one"
    package.mkdir()
    (package / "__init__.py").write_text("A = 1\n")
    before = known.stamp(iter([package]))
    (package / "tests").mkdir()
    (package / "tests" / "test_one.py").write_text("")
    assert known.stamp(iter([package])) == before
    (package / "__init__.py").write_text("A = 12\n")
    assert known.stamp(iter([package])) != before


@pytest.mark.parametrize("content", [b"", b"[]", b'{"stamp": 1}', b"\xff\xfe"])
def test_a_damaged_file_is_as_none(tmp_path: Path, content: bytes) -> None:
    loader.load(check=False)
    (next(tmp_path.rglob(f"{known.NAME}-*"))).write_bytes(content)
    assert known.read(made_of()) is None
    assert "gain" in loader.load(check=False).catalog
    assert known.read(made_of()) is not None
