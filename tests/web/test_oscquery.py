"""The OSCQuery tree, without a server."""

import json
import math

from hypothesis import given, strategies as st

from antiphon.kernel.contract.catalog import Catalog, ProcessorInfo
from antiphon.kernel.contract.params import HOST_PARAMS, Param, Value
from antiphon.kernel.contract.ports import AUDIO_IN, AUDIO_OUT
from antiphon.kernel.graph.graph import Graph, NodeSpec
from antiphon.web.oscquery import query as oscquery

PARAMS = (
    Param("threshold", default=-40.0, low=-80.0, high=0.0, unit="dB", doc="What is quieter is noise."),
    Param("cutoff", default=1000.0, low=20.0, high=20000.0, unit="Hz", warp="log"),
    Param("taps", "int", 4, 1, 8),
    Param("mode", "choice", "gate", choices=("gate", "wavelet")),
    Param("full", "switch", False),
    Param("learn", "trigger", False),
    Param("label", "text", ""),
    Param("level", default=0.0, low=-120.0, high=6.0, unit="dB", readonly=True),
    Param("odd", default=1.0, low=0.0, high=2.0, unit="apples"),
)
CATALOG = Catalog({"denoise": ProcessorInfo("denoise", "Takes noise away.", "d", (AUDIO_IN,), (AUDIO_OUT,), PARAMS)})
METHODS = (
    oscquery.method("/status", "", "Answers `/status.reply`."),
    oscquery.method("/ping", "x…", "Answers."),
    oscquery.method("/node/add", "s:type s:name [s:after]", "Adds a node."),
    oscquery.method("/tempo", "[f:bpm] [f:beats]", "Sets the tempo."),
    oscquery.method("/notify", "i:on [i:port]", "Subscribes."),
)
GRAPH = Graph((NodeSpec("clean", "denoise"), NodeSpec("lost", "not-loaded")))
VALUES: dict[str, Value] = {
    **{p.name: p.default for p in (*HOST_PARAMS, *PARAMS)},
    "threshold": -20.0,
    "full": True,
    "level": -math.inf,
}


def value(node: str, param: str) -> Value | None:
    return VALUES[param] if node == "clean" else None


def ask(path: str, attribute: str | None = None) -> oscquery.QueryAnswer:
    return oscquery.query(path, attribute, GRAPH, CATALOG, value, METHODS)


def got(path: str) -> oscquery.Entry:
    answer = ask(path)
    assert answer.status == 200
    assert answer.data is not None
    return answer.data


def test_a_float_says_its_range_unit_and_value() -> None:
    assert {k: v for k, v in got("/node/clean/threshold").items() if k != "CONTENTS"} == {
        "FULL_PATH": "/node/clean/threshold",
        "DESCRIPTION": "What is quieter is noise.",
        "TYPE": "f",
        "ACCESS": 3,
        "VALUE": [-20.0],
        "RANGE": [{"MIN": -80.0, "MAX": 0.0}],
        "UNIT": ["gain.db"],
    }


def test_each_kind_has_its_type() -> None:
    kinds = {p.name: got(f"/node/clean/{p.name}")["TYPE"] for p in (*HOST_PARAMS, *PARAMS)}
    assert kinds == {
        "bypass": "F", "mute": "F", "wet": "f", "threshold": "f", "cutoff": "f", "taps": "i", "mode": "s",
        "full": "T", "learn": "N", "label": "s", "level": "f", "odd": "f",
    }  # fmt: skip
    assert got("/node/clean/mode")["RANGE"] == [{"VALS": ["gate", "wavelet"]}]
    assert got("/node/clean/odd")["UNIT"] == ["apples"]


def test_access_tells_what_can_be_read_and_set() -> None:
    assert ask("/node/clean/level", "ACCESS").data == {"ACCESS": 1}
    assert ask("/node/clean/learn", "ACCESS").data == {"ACCESS": 2}
    assert ask("/node/clean/reset", "ACCESS").data == {"ACCESS": 2}
    assert ask("/node/clean", "ACCESS").data == {"ACCESS": 0}
    assert "CONTENTS" not in got("/node/clean/level")


def test_attributes_that_are_not_there_are_204_unknown_ones_400_other_addresses_404() -> None:
    assert ask("/node/clean/threshold", "VALUE") == oscquery.QueryAnswer(200, {"VALUE": [-20.0]})
    assert ask("/node/clean/learn", "VALUE").status == 204
    assert ask("/node/clean", "VALUE").status == 204
    assert ask("/node/clean/threshold", "COLOUR").status == 400
    assert ask("/node/clean/threshold", "").status == 400
    for path in ("/node/dirty", "/node/clean/nothing", "/node/clean/threshold/norm/x", "/node/", "//node", "/nod", ""):
        assert ask(path).status == 404, path


def test_a_value_json_cannot_hold_is_null() -> None:
    assert got("/node/clean/level")["VALUE"] == [None]
    json.dumps(got("/"), allow_nan=False)


def test_the_root_holds_nodes_and_every_fixed_command() -> None:
    leaves = {str(leaf["FULL_PATH"]): leaf for leaf in oscquery.leaves(got("/"))}
    for method in METHODS:
        assert leaves[method.address]["TYPE"] == (method.types or "N")
    assert {f"/node/clean/{p.name}" for p in PARAMS} < set(leaves)
    types = {path: leaves[path]["TYPE"] for path in ("/status", "/ping", "/node/add", "/tempo", "/notify")}
    assert types == {"/status": "N", "/ping": "N", "/node/add": "ss", "/tempo": "f", "/notify": "i"}
    assert leaves["/status"]["DESCRIPTION"] == "Answers /status.reply."
    for path, leaf in leaves.items():
        assert ask(path).data == leaf  # asked alone, each is as in the tree


def test_a_node_whose_type_did_not_load_is_still_listed() -> None:
    assert set(got("/node/lost")["CONTENTS"]) == {"reset"}


def test_an_address_that_is_command_and_container_is_both() -> None:
    entry = got("/status")
    assert entry["TYPE"] == "N"
    methods = (oscquery.Method("/a/b", "i", ""), oscquery.Method("/a", "f", ""))
    both = oscquery.find("/a", GRAPH, CATALOG, value, methods)
    assert both is not None
    assert both["TYPE"] == "f"
    assert set(both["CONTENTS"]) == {"b"}


def test_asking_does_not_change_the_shared_tree() -> None:
    ask("/")
    bare = oscquery.find("/", Graph(), CATALOG, value, METHODS)
    assert bare is not None
    assert "clean" not in bare["CONTENTS"]["node"]["CONTENTS"]


def test_host_info_offers_listen() -> None:
    info = oscquery.host_info("Antiphon", "127.0.0.1", 4400, 4401)
    assert info["EXTENSIONS"]["LISTEN"] is True
    paths = {name: there for name, there in info["EXTENSIONS"].items() if name.startswith("PATH_")}
    assert paths == {"PATH_ADDED": True, "PATH_REMOVED": True, "PATH_RENAMED": False, "PATH_CHANGED": False}
    assert (info["OSC_IP"], info["OSC_PORT"], info["OSC_TRANSPORT"]) == ("127.0.0.1", 4400, "UDP")
    assert (info["WS_IP"], info["WS_PORT"]) == ("127.0.0.1", 4401)


@given(st.text(max_size=60), st.none() | st.text(max_size=10))
def test_any_address_has_an_answer(path: str, attribute: str | None) -> None:
    assert ask("/" + path, attribute).status in (200, 204, 400, 404)
