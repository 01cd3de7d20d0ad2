"""Sources, compiled SynthDefs and index say the same."""

import importlib.util
import shutil
import struct
from dataclasses import dataclass
from types import ModuleType

import pytest
from tests.each import each

from antiphon_supercollider.tests.synthdefs.score import COMPILED, FOLDER

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
    found, compiled = controls((COMPILED / f"{name}.scsyndef").read_bytes())
    listed = tool.controls(name, INDEX)
    assert found == name
    assert compiled.keys() == listed.keys()
    for key, control in compiled.items():
        low, high = listed[key]["range"]
        assert control.default == pytest.approx(listed[key]["default"]), key
        assert low <= control.default <= high, key
        assert control.fixed == bool(listed[key].get("fixed")), key
        assert listed[key]["doc"], key
        assert isinstance(listed[key]["unit"], str), key


@each("name", NAMES)
def test_a_definition_fits_in_a_datagram(name):
    assert (COMPILED / f"{name}.scsyndef").stat().st_size < 65_000


def test_every_definition_says_what_it_is():
    for name, entry in INDEX["defs"].items():
        assert name.startswith("antiphon_")
        assert entry["kind"] in KINDS
        assert entry["doc"]


def test_the_kit_plays_drums_within_their_ranges():
    for key, entry in INDEX["kit"].items():
        assert 27 <= int(key) <= 87
        assert INDEX["defs"][entry["def"]]["kind"] == "drum"
        controls = tool.controls(entry["def"], INDEX)
        for name in entry.keys() - {"def", "name", "choke"}:
            low, high = controls[name]["range"]
            assert low <= entry[name] <= high, (key, name)
    assert {"35", "36", "38", "39", "42", "44", "46", "49", "51"} <= INDEX["kit"].keys()


@dataclass(frozen=True)
class DefinitionControl:
    """fixed: read once, when the synth is made."""

    default: float
    fixed: bool


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def read(self, form: str) -> tuple[float, ...]:
        found = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(">" + form)
        return found

    def integer(self, form: str = "i") -> int:
        return int(self.read(form)[0])

    def text(self) -> str:
        size = self.integer("B")
        self.at += size
        return self.data[self.at - size : self.at].decode("ascii")


def controls(data: bytes) -> tuple[str, dict[str, DefinitionControl]]:
    """The name and the controls of the first definition."""
    x = _Bytes(data)
    assert data[:4] == b"SCgf"
    x.at = 4
    assert (x.integer(), x.integer("h")) == (2, 1)
    name = x.text()
    x.read(f"{x.integer()}f")
    defaults = x.read(f"{x.integer()}f")
    names = [(x.text(), x.integer()) for _ in range(x.integer())]
    fixed: dict[int, bool] = {}
    for _ in range(x.integer()):
        kind, rate = x.text(), x.integer("b")
        inputs, outputs, special = x.integer(), x.integer(), x.integer("h")
        x.read(f"{2 * inputs}i{outputs}b")
        if kind in ("Control", "LagControl", "AudioControl", "TrigControl"):
            fixed.update({special + n: rate == 0 for n in range(outputs)})
    return name, {key: DefinitionControl(defaults[place], fixed[place]) for key, place in names}
