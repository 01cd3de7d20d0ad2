"""Patches: what is read, what is written, and what is refused with its line."""

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from tests import accepted
from tests.graph.test_graph import info
from tests.waiting import costs_at_most

from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.params import Param
from antiphon.kernel.contract.ports import AUDIO_IN, AUDIO_OUT, EVENTS_IN, EVENTS_OUT, Port
from antiphon.kernel.control.patches import patch_writer
from antiphon.kernel.errors import FileError, PatchError
from antiphon.kernel.graph import patch_reader
from antiphon.kernel.graph.clock import MAX_TEMPO, MIN_TEMPO
from antiphon.kernel.graph.graph import IN, OUT, RESERVED, End, Graph, NodeSpec, Wire
from antiphon.kernel.graph.patch import Patch, dump, find, load, parse
from antiphon.kernel.runtime import paths, resources
from antiphon.kernel.runtime.toml_location import line_of
from antiphon.operations.patch_list import names

GAIN = (
    Param("gain", default=1.0, high=2.0),
    Param("count", "int", 1, 0, 9),
    Param("mode", "choice", "a", choices=("a", "b")),
    Param("on", "switch", False),
    Param("word", "text", ""),
    Param("file", "file", ""),
    Param("fire", "trigger", False),
    Param("level", readonly=True),
)
CATALOG = Catalog(
    {
        i.type: i
        for i in (
            info("gain", params=GAIN),
            info("delay", holds=True),
            info("mix", inputs=(Port("a"), Port("b"))),
            info("hum", outputs=(EVENTS_OUT,)),
            info("both", outputs=(AUDIO_OUT, EVENTS_OUT)),
            info("keys", inputs=(EVENTS_IN,)),
        )
    }
)
TOP = "format = 1\n"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv(paths.HOME, str(tmp_path / "home"))
    return tmp_path / "home"


def read(text, **options):
    return parse(TOP + text, CATALOG, "x.toml", **options)


def test_a_whole_patch():
    made = read("""
name = "Hum a piano"
tempo = 90
[nodes.clean]
type = "gain"
gain = 2
mode = "b"
wet = 0.5
[nodes.hum]
[nodes.keys]
[nodes.mix]
[wires]
"in" = "clean"
"clean" = ["hum", "mix.b"]
"hum.notes" = "keys"
keys.out = "mix"
"mix" = "out"
[scenes.1]
name = "soft"
"clean.gain" = 0.5
clean.wet = 1
[midi]
"cc 21" = "clean.gain"
"cc 22 16" = "clean.fire"
""")
    assert (made.name, made.tempo) == ("Hum a piano", 90.0)
    assert made.graph.nodes[0] == NodeSpec("clean", "gain", {"gain": 2.0, "mode": "b", "wet": 0.5})
    assert [(str(w.source), str(w.dest)) for w in made.graph.wires] == [
        ("in.in", "clean.in"),
        ("clean.out", "hum.in"),
        ("clean.out", "mix.b"),
        ("hum.notes", "keys.notes"),
        ("keys.out", "mix.a"),
        ("mix.out", "out.out"),
    ]
    assert made.scenes == {1: {"name": "soft", "clean.gain": 0.5, "clean.wet": 1.0}}
    assert made.midi == {"cc 21": "clean.gain", "cc 22 16": "clean.fire"}


def test_a_hint_and_a_group_are_read_and_stay_when_it_is_saved():
    made = read('hint = "Play."\ngroup = "keys"\n[nodes.gain]\n')
    assert (made.hint, made.group) == ("Play.", "keys")
    again = parse(dump(made), CATALOG)
    assert (again.hint, again.group) == ("Play.", "keys")
    bare = read("[nodes.gain]\n")
    assert (bare.hint, bare.group) == ("", "")
    assert "hint" not in dump(bare)


WITH_OPTIONAL = (
    TOP
    + """[nodes.a]
type = "gain"
[nodes.ear]
type = "listener"
optional = true
depth = [1, 2]
[nodes.b]
type = "gain"
optional = true
[wires]
in = ["a", "ear"]
a = ["b", "ear.side"]
ear = "b"
b = "out"
[macros]
loud = ["a.gain", 0, 2]
far = ["Far", ["a.gain", 0, 2], ["ear.depth", 0, 1]]
[scenes.1]
"a.gain" = 0.5
"ear.depth" = 1
[scenes.2]
"ear.depth" = 0
[midi]
"cc 1" = "ear.depth"
"cc 2" = "a.gain"
"""
)


def test_an_optional_node_that_is_missing_stays_in_the_file_with_all_that_names_it():
    lean = parse(WITH_OPTIONAL, CATALOG)
    assert [node.name for node in lean.graph.nodes] == ["a", "b"]
    assert [macro.name for macro in lean.graph.macros] == ["loud"]
    assert (lean.scenes, lean.midi) == ({1: {"a.gain": 0.5}, 2: {}}, {"cc 2": "a.gain"})
    ear = info("listener", (AUDIO_IN, Port("side")), (AUDIO_OUT,), (Param("depth"),))
    whole = Catalog(CATALOG.types | {"listener": ear})
    given = WITH_OPTIONAL.replace("[1, 2]", "0.5")
    expected, found = parse(given, whole), parse(dump(parse(given, CATALOG)), whole)
    assert found.graph.node("ear") == expected.graph.node("ear") == NodeSpec("ear", "listener", {"depth": 0.5})
    assert set(found.graph.wires) == set(expected.graph.wires)
    assert set(found.graph.macros) == set(expected.graph.macros)
    assert (found.scenes, found.midi) == (expected.scenes, expected.midi)
    assert found.optional == expected.optional == {"ear", "b"}
    assert parse(dump(lean), CATALOG).left_out == lean.left_out
    assert set(parse(dump(parse(dump(expected), CATALOG)), whole).graph.wires) == set(expected.graph.wires)


def test_what_names_a_node_that_is_removed_is_not_put_back():
    lean = parse(WITH_OPTIONAL, CATALOG)
    saved = dump(replace(lean, graph=lean.graph.remove("a", CATALOG), scenes={}, midi={}))
    again = parse(saved, CATALOG).left_out
    assert again["wires"] == {"in": ["ear"], "ear": ["b"]}
    assert again["macros"] == {}
    other = dump(replace(lean, graph=lean.graph.add(NodeSpec("ear", "mix"), CATALOG)))
    assert parse(other, CATALOG).left_out == {}
    assert "ear.depth" not in other


def test_plain_names_take_the_first_port_of_a_kind_both_have():
    made = read('[nodes.both]\n[nodes.keys]\n[nodes.gain]\n[wires]\nboth = ["keys", "gain"]\n')
    assert [str(w.source) for w in made.graph.wires] == ["both.notes", "both.out"]


def test_what_is_wrong_is_named_with_its_line_and_key():
    accepted.compare(__file__, lambda text: accepted.refusal(lambda: parse(text, CATALOG, "x.toml")))
    for text in (f'hint = "{"x" * 401}"', f'group = "{"x" * 41}"', "[nodes.gain]\nmode = 0x" + "f" * 400):
        assert re.search("line [23], '(hint|group|nodes.gain.mode)': .*(characters|64 bits)", refusal(text)), text


def test_a_whole_number_may_be_written_with_a_point():
    assert read("[nodes.gain]\ncount = 4.0").graph.nodes[0].values == {"count": 4}


def test_bad_toml_is_named_with_its_line():
    with pytest.raises(PatchError, match=r"^x.toml is not TOML: line 3, column \d+: "):
        read("[nodes.gain]\ngain 3\n")


def test_files_are_the_performers_own_when_trusted():
    text = "[nodes.gain]\nfile = '/tmp/x.wav'"
    assert read(text, trusted=True).graph.nodes[0].values == {"file": "/tmp/x.wav"}
    with pytest.raises(PatchError, match="is not a name"):
        read(text)


KIB = 1 << 10
HOSTILE = {
    "huge": "#" * (1 << 18),
    "nested lists": "a = " + "[" * 100 * KIB,
    "nested tables": "a = " + "{a=" * 60 * KIB,
    "dotted key": ".".join("a" * 100 * KIB) + " = 1",
    "dotted table": "[" + ".".join("a" * 100 * KIB) + "]",
    "quoted dots": "'a'." * 50 * KIB + "a = 1",
    "dotted value": "a = " + "1." * 100 * KIB,
    "digits": "tempo = " + "9" * 200 * KIB,
    "exponent": "tempo = 1e" + "9" * 200 * KIB,
    "many keys": "".join(f"k{n}=1\n" for n in range(25 * KIB)),
    "many tables": "".join(f"[a{n}]\n" for n in range(25 * KIB)),
    "table arrays": "[[nodes]]\n" * 20 * KIB,
    "many nodes": "[nodes]\n" + "".join(f"g{n}={{type='gain'}}\n" for n in range(9 * KIB)),
    "many wires": "[nodes.gain]\n[wires]\n" + "".join(f"'a{n}'='b'\n" for n in range(15 * KIB)),
    "one wire often": "[nodes.gain]\n[wires]\nin=[" + "'gain'," * 30 * KIB + "]",
    "open strings": '"""\\' * 50 * KIB,
    "escapes in an open string": 'name = """' + '\\"' * 120 * KIB,
    "escapes": 'name="' + "\\u0041" * 40 * KIB + '"',
    "zeros": "\0" * KIB,
    "dead scenes": "[scenes]\n" + "".join(f"{n}={{}}\n" for n in range(20 * KIB)),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_text_is_one_sentence_and_soon(what):
    with costs_at_most(2.0), pytest.raises(PatchError) as caught:
        read(HOSTILE[what])
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700


def refusal(text):
    """What is said against it, or "" when it is a patch; anything but a `PatchError` comes through."""
    try:
        read(text)
    except PatchError as error:
        return str(error)
    return ""


@given(st.text(max_size=200))
@settings(max_examples=50)
def test_any_text_is_a_patch_or_one_sentence(text):
    assert "\n" not in refusal(text)


TABLES = ["[nodes.gain]", "[nodes]", "[wires]", "[scenes.1]", "[midi]", "\n", "\n", "[", "]", "{", "}"]
KEYS = ["gain", "type", "wet", "x", '"in"', "'cc 1'", '"gain.out"', ".", "=", "=", "=", ",", "#"]
WORTH = ["1", "true", "1e400", "-0.0", "'out'", "1979-05-27", "''", '"', "0x10", "'gain'"]


@given(st.lists(st.sampled_from(TABLES + KEYS + WORTH), max_size=30))
@settings(max_examples=50)
def test_any_pieces_are_a_patch_or_one_sentence(pieces):
    assert "\n" not in refusal(" ".join(pieces))


NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,9}", fullmatch=True).filter(lambda name: name not in RESERVED)
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "gain": st.floats(0, 2),
        "count": st.integers(0, 9),
        "mode": st.sampled_from("ab"),
        "on": st.booleans(),
        "word": st.text(max_size=20).filter(lambda text: "\0" not in text),
        "wet": st.floats(0, 1),
    },
)


@st.composite
def patches(draw):
    named = draw(st.lists(NAMES, unique=True, max_size=6))
    kinds = [draw(st.sampled_from(["gain", "mix", "delay"])) for _ in named]
    nodes = tuple(
        NodeSpec(name, kind, draw(VALUES) if kind == "gain" else {}) for name, kind in zip(named, kinds, strict=True)
    )
    wires = []
    for place, name in enumerate(named):
        wires.append(
            Wire(
                End(named[place - 1], "out") if place else End(IN, IN),
                End(name, "b" if kinds[place] == "mix" else "in"),
            )
        )
    if named:
        wires.append(Wire(End(named[-1], "out"), End(OUT, OUT)))
        wires.append(Wire(End(named[0], "out"), End(OUT, OUT)))
    gains = [n.name for n in nodes if n.type == "gain"]
    scenes = {3: {f"{name}.gain": 0.5 for name in gains}} if gains else {}
    midi = {f"cc {n}": f"{name}.gain" for n, name in enumerate(gains)}
    title = draw(st.text(min_size=1, max_size=30).filter(str.isprintable))
    return Patch(title, draw(st.floats(MIN_TEMPO, MAX_TEMPO)), Graph(nodes, tuple(dict.fromkeys(wires))), scenes, midi)


@given(patches())
@settings(max_examples=50)
def test_what_is_written_reads_back_the_same(made):
    again = parse(dump(made), CATALOG)
    assert (again.name, again.tempo, again.scenes, again.midi) == (made.name, made.tempo, made.scenes, made.midi)
    assert again.graph.nodes == made.graph.nodes
    assert set(again.graph.wires) == set(made.graph.wires)
    assert parse(dump(again), CATALOG).graph == again.graph


def save(patch, name):
    return patch_writer.save(patch, name, CATALOG, {}, replacing=True)[0]


def test_saving_shadows_a_built_in_and_leaves_nothing_else(home):
    made = read("[nodes.gain]\ngain = 0.5\n")
    built_in = find("through").read_bytes()
    where = save(made, "through")
    assert where == home / "data" / "patches" / "through.toml"
    assert find("through") == where
    assert load("through", CATALOG).graph == made.graph
    assert (resources.patches() / "through.toml").read_bytes() == built_in
    assert os.listdir(where.parent) == ["through.toml"]
    assert names().count("through") == 1


def test_a_failed_save_leaves_what_was_there(monkeypatch):
    made = read("[nodes.gain]\n")
    where = save(made, "mine")
    before = where.read_bytes()

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match=r"no space left on device; .*; nothing was changed"):
        save(read("[nodes.delay]\n"), "mine")
    assert where.read_bytes() == before
    assert os.listdir(where.parent) == ["mine.toml"]


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "a/b", "", ".hidden", "a\0b", "x" * 500, "a\nb", "..", "a\\b", "\ud800"]
)
def test_a_name_from_the_network_stays_inside(name):
    for call in (lambda: load(name, CATALOG), lambda: find(name), lambda: save(read(""), name)):
        with pytest.raises(PatchError) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_a_file_beside_a_trusted_patch_is_found_unless_the_library_has_it(home, tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(TOP + "[nodes.gain]\nfile = 'own.scsyndef'\n")

    def taken(trusted=True):
        return load(path, CATALOG, trusted=trusted).graph.nodes[0].values["file"]

    assert taken() == "own.scsyndef"
    beside = tmp_path / "own.scsyndef"
    beside.write_bytes(b"")
    assert taken() == str(beside)
    library = paths.make_folder(paths.library())
    (library / "own.scsyndef").write_bytes(b"")
    assert taken() == "own.scsyndef"
    beside.unlink()
    (library / "own.scsyndef").unlink()
    beside.symlink_to("/etc/hostname")
    with pytest.raises(PatchError, match="leads out of its folder"):
        taken()


def test_the_command_line_takes_any_path_the_network_none(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(TOP + "[nodes.gain]\n")
    made = load(str(path), CATALOG, trusted=True)
    assert (made.name, made.path) == ("own", path)
    with pytest.raises(PatchError):
        load(str(path), CATALOG)
    assert load("through.toml", CATALOG, trusted=True).name == "Through"


def test_what_is_no_patch_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "bytes.toml").write_bytes(b"format = 1\n\xff")
    (tmp_path / "big.toml").write_bytes(b"#" * (1 << 20))
    (tmp_path / "folder.toml").mkdir()
    for name, said in (
        ("pipe", "not an ordinary file"),
        ("bytes", "UTF-8"),
        ("big", "256 KiB"),
        ("folder", "not an ordinary file"),
        ("none", "there is no such file"),
    ):
        with pytest.raises(PatchError, match=said):
            load(tmp_path / f"{name}.toml", CATALOG, trusted=True)
    with pytest.raises(PatchError, match="not an ordinary file"):
        load(Path("/dev/zero"), CATALOG, trusted=True)


def test_lines_are_found_through_every_spelling():
    text = 'a = 1\n[b]\nc = 2\n["b".d]\n"e f" = 3\n[g]\nh.i = 4\nj = {k = 5}\n'
    for path, line in {
        ("a",): 1,
        ("b",): 2,
        ("b", "c"): 3,
        ("b", "d", "e f"): 5,
        ("g", "h", "i"): 7,
        ("g", "h"): 7,
        ("g", "j", "k"): 8,
        ("nowhere",): 1,
    }.items():
        assert line_of(text, path) == line, path


def test_a_patch_holds_its_most_wires_and_names_the_one_too_many(monkeypatch):
    monkeypatch.setattr(patch_reader, "MAX_WIRES", 2)
    text = TOP + '[nodes.a]\ntype = "gain"\n[wires]\n"in" = "a"\n"a" = {}\n'
    assert len(parse(text.format('"out"'), CATALOG).graph.wires) == 2
    with pytest.raises(PatchError, match="one wire too many; at most 2"):
        parse(text.format('["out", "out.3-4"]'), CATALOG)
