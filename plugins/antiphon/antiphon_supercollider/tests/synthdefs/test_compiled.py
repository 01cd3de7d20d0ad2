"""Sources, compiled SynthDefs and index say the same."""

import importlib.util
import shutil
from types import ModuleType

import pytest
from tests.each import each

from antiphon_supercollider.tests.synthdefs.score import COMPILED, FOLDER
from antiphon_supercollider.voices import material

TOOL = FOLDER.parent / "tools" / "compile_synthdefs.py"


def _tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compile_synthdefs", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tool = _tool()
INDEX = tool.index()
NAMES = sorted(INDEX["defs"])
KINDS = {"instrument", "drum", "sampler", "granular", "effect", "utility"}


@pytest.mark.skipif(shutil.which("sclang") is None, reason="needs sclang: apt-get install supercollider-language")
def test_the_sources_give_the_compiled_files_byte_for_byte(tmp_path):
    names = tool.compile_into(tmp_path)
    assert names == [f"{name}.scsyndef" for name in NAMES]
    assert tool.differences(tmp_path) == [], "run python tools/compile_synthdefs.py"


@pytest.mark.skipif(shutil.which("sclang") is None, reason="needs sclang: apt-get install supercollider-language")
def test_a_source_with_an_error_is_named(tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "wrong.scd").write_text("~def.(\\antiphon_wrong, { Out.ar(0, NoSuchThing.ar) });")
    with pytest.raises(tool.CompileError, match="NoSuchThing"):
        tool.compile_into(tmp_path, tmp_path)


@each("name", NAMES)
def test_the_index_has_the_controls_that_the_definition_has(name):
    compiled = material.load(COMPILED / f"{name}.scsyndef")
    listed = tool.controls(name, INDEX)
    assert compiled.title == name
    assert compiled.controls.keys() == listed.keys()
    for key, default in compiled.controls.items():
        low, high = listed[key]["range"]
        assert default == pytest.approx(listed[key]["default"]), key
        assert low <= default <= high, key
        assert (key not in compiled.held) == bool(listed[key].get("fixed")), key
        assert listed[key]["doc"], key
        assert isinstance(listed[key]["unit"], str), key


@each("name", NAMES)
def test_a_definition_fits_in_a_datagram_and_says_what_it_is(name):
    assert (COMPILED / f"{name}.scsyndef").stat().st_size < 65_000
    assert name.startswith("antiphon_")
    assert INDEX["defs"][name]["kind"] in KINDS
    assert INDEX["defs"][name]["doc"]


def test_the_kit_plays_drums_within_their_ranges():
    for key, entry in INDEX["kit"].items():
        assert 27 <= int(key) <= 87
        assert INDEX["defs"][entry["def"]]["kind"] == "drum"
        controls = tool.controls(entry["def"], INDEX)
        for name in entry.keys() - {"def", "name", "choke"}:
            low, high = controls[name]["range"]
            assert low <= entry[name] <= high, (key, name)
    assert {"35", "36", "38", "39", "42", "44", "46", "49", "51"} <= INDEX["kit"].keys()
