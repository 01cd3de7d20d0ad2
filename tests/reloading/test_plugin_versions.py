"""Versions of a plugin: the copy, the check in a process of its own, and the use of one version and of one before."""

import os
from pathlib import Path

import numpy as np
import pytest

from antiphon.kernel.contract.block import StreamSpec
from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.harness import run_processor
from antiphon.kernel.errors import FileError, PluginError
from antiphon.kernel.plugins import finding
from antiphon.kernel.plugins.loader import Loaded
from antiphon.kernel.plugins.versions import PluginVersions
from antiphon.kernel.runtime import importing
from antiphon.kernel.runtime.processes.children import spawn
from antiphon.kernel.workers.spec import WorkerSpec
from antiphon.reloading import plugin_files
from antiphon.reloading.plugin_files import BEGUN, VersionCheck

INIT = """
from antiphon.api import hookimpl

@hookimpl
def antiphon_processors(register):
    register("versioned", "versioned.processor:Versioned", "A gain.")
"""
PROCESSOR = """
import numpy as np
from antiphon.api import Param, Processor
from versioned.factor import FACTOR

class Versioned(Processor):
    params = (Param("by", default=1.0, low=0.0, high=2.0),)

    def process(self, io):
        np.multiply(io.audio_in[0], FACTOR * float(io.value("by")), out=io.audio_out[0])
"""
SPEC = StreamSpec(48000, 64, 1)
ONES = np.ones((1, 128), np.float32)


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    folder = tmp_path / "plugins" / "versioned"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(INIT)
    (folder / "processor.py").write_text(PROCESSOR)
    (folder / "factor.py").write_text("FACTOR = 0.5\n")
    return folder


def level(versions: PluginVersions) -> float:
    return float(run_processor(versions.make("versioned"), SPEC, ONES)[0, -1])


def test_a_version_is_used_and_one_before_is_used_again(plugin: Path, tmp_path: Path) -> None:
    versions = PluginVersions(Loaded(Catalog()))
    first = plugin_files.copy(plugin, tmp_path / "versions")
    (plugin / "factor.py").write_text("FACTOR = 0.2\n")  # as long as before, and within the same second
    second = plugin_files.copy(plugin, tmp_path / "versions")
    try:
        versions.use({"versioned": str(first)})
        assert level(versions) == 0.5
        made = versions.make("versioned")
        versions.use({"versioned": str(second)})
        assert level(versions) == np.float32(0.2)
        assert versions.catalog["versioned"].version == 2
        assert run_processor(made, SPEC, ONES)[0, -1] == 0.5
        versions.use({"versioned": str(first)})
        assert level(versions) == 0.5
        assert versions.catalog["versioned"].version == 1
        versions.use({})
        assert "versioned" not in versions.catalog
        with pytest.raises(PluginError, match="no processor type 'versioned'"):
            versions.make("versioned")
    finally:
        importing.remove_modules("versioned")
        importing.versions.clear()


def test_a_copy_has_the_modules_and_links_the_rest(plugin: Path, tmp_path: Path) -> None:
    (plugin / "weights.bin").write_bytes(b"w")
    for name in ("samples", "tests", "__pycache__", "inner"):
        (plugin / name).mkdir()
        (plugin / name / "a.py").write_text("a = 1\n")
    (plugin / "inner" / "__init__.py").write_text("")
    place = plugin_files.copy(plugin, tmp_path / "versions")
    assert place == tmp_path / "versions" / "1" / "versioned"
    assert plugin_files.copy(plugin, tmp_path / "versions").parent.name == "2"
    names = {"__init__.py", "processor.py", "factor.py", "weights.bin", "samples", "inner"}
    assert {entry.name for entry in place.iterdir()} == names
    assert {entry.name for entry in place.iterdir() if entry.is_symlink()} == {"weights.bin", "samples"}
    assert (place / "inner" / "a.py").read_text() == "a = 1\n"


def test_the_stamp_changes_with_any_module_and_is_empty_without_a_package(plugin: Path) -> None:
    before = plugin_files.change_stamp(str(plugin))
    assert len(before) == 3
    os.utime(plugin / "factor.py", ns=(1, 1))
    changed = plugin_files.change_stamp(str(plugin))
    assert changed != before
    (plugin / "weights.bin").write_bytes(b"w")
    assert plugin_files.change_stamp(str(plugin)) == changed
    (plugin / "__init__.py").unlink()
    assert plugin_files.change_stamp(str(plugin)) == ()
    assert plugin_files.plugin_folders(plugin.parent) == ["versioned"]
    assert plugin_files.plugin_folders(plugin / "none") == []


def checked(plugin: Path, tmp_path: Path, limit: float = 60.0, **values: float) -> dict[str, object]:
    folder = plugin_files.copy(plugin, tmp_path / "versions")
    check = VersionCheck(str(folder), str(plugin), 48000, 256, 2, (("versioned", values),), limit=limit)
    with spawn("antiphon.reloading.plugin_check:main") as process:
        process.send(check.to_json())
        assert process.receive(silence=120.0)[0] == BEGUN
        return process.receive(silence=120.0)[0]


def test_a_check_gives_the_declarations_of_the_version(plugin: Path, tmp_path: Path) -> None:
    found = Catalog.from_json(checked(plugin, tmp_path, by=0.5))
    assert found["versioned"].version == 1
    assert [p.name for p in found["versioned"].params] == ["by"]
    assert found.hooks == {"versioned": ("antiphon_processors",)}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("FACTOR = 0.5\nwhile True:\n    pass\n", "took longer than 0.5 s (factor.py, line "),
        ("import time\nFACTOR = 0.5\ntime.sleep(1e6)\n", "took longer than 0.5 s (factor.py, line 3)"),
    ],
)
def test_a_check_that_does_not_end_is_reported_with_its_line(
    plugin: Path, tmp_path: Path, text: str, problem: str
) -> None:
    (plugin / "factor.py").write_text(text)
    assert problem in str(checked(plugin, tmp_path, 0.5)["problem"])


def test_a_check_plays_the_values_of_the_nodes(plugin: Path, tmp_path: Path) -> None:
    text = PROCESSOR.replace("FACTOR *", "FACTOR / (float(io.value('by')) - 0.25) *")
    (plugin / "processor.py").write_text(text)
    assert "types" in checked(plugin, tmp_path, by=0.5)
    assert checked(plugin, tmp_path, by=0.25)["problem"] == (
        "versioned: ZeroDivisionError: float division by zero (processor.py, line 10)"
    )


def test_a_worker_of_another_version_is_not_shared() -> None:
    versions = {"versioned": Path("/v/3/versioned"), "other": Path("/v/4/other")}
    mine = WorkerSpec("m", "antiphon.networks.x:Y", settings={"network": "versioned.net:Net"})
    assert mine.with_versions(versions).versions == ("/v/3/versioned",)
    assert WorkerSpec.from_json(mine.with_versions(versions).to_json()) == mine.with_versions(versions)
    assert WorkerSpec("m", "versioned:Step").with_versions(versions).versions == ("/v/3/versioned",)
    theirs = WorkerSpec("m", "versioned_more:Step")
    assert theirs.with_versions(versions) is theirs


@pytest.mark.parametrize("open_folder", ["plugins", "plugins/versioned"])
def test_a_plugin_that_every_user_may_change_is_not_run(plugin: Path, tmp_path: Path, open_folder: str) -> None:
    assert not finding.sources(plugin.parent)[-1].problem
    (tmp_path / open_folder).chmod(0o757)
    assert finding.sources(plugin.parent)[-1].problem.endswith(f"chmod o-w {tmp_path / open_folder}")
    with pytest.raises(FileError, match="every user of this machine may write where "):
        plugin_files.copy(plugin, tmp_path / "versions")
