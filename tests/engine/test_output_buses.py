"""The other pairs of output channels, and the cue: what each channel holds, and when."""

import numpy as np
import pytest
from tests.engine.test_graph_player import ones
from tests.local import CATALOG, RATE, graph, plan, play, put, staged

from antiphon.kernel.contract.block import StreamSpec
from antiphon.kernel.engine.drivers.base import DriverOptions
from antiphon.kernel.engine.graph_player import GraphPlayer
from antiphon.kernel.engine.levels import ChosenPairs, device_pairs, pairs_of
from antiphon.kernel.errors import PatchError
from antiphon.kernel.session.actions import FadeOut
from antiphon.kernel.session.commands import Panic

SPEC = StreamSpec(RATE, 256, 2)
TRACKS = graph(
    {"a": ("gain", {"gain": 0.5}), "b": ("gain", {"gain": 0.25, "mute": True}), "click": ("gain", {"gain": 0.125})},
    ["in > a", "in > b", "in > click", "a > out", "a > out.3-4", "b > out.7-8", "b > out.cue", "click > out.cue"],
)


def whole(player: GraphPlayer, x, pairs):
    """All channels of `pairs`, of the whole of x."""
    chosen, kept = ChosenPairs(pairs, player.spec), []
    for at in range(0, x.shape[1], 256):
        player.run(x[:, at : at + 256])
        kept.append(chosen.gather(player.buses).copy())
    return np.concatenate(kept, axis=1)


def test_each_pair_holds_what_is_wired_to_it_and_the_cue_what_is_muted():
    y = whole(staged(TRACKS), ones(1024), device_pairs(10, "9-10"))
    held = [(0.25, 0.25), (0.25, 0.25), (0, 0), (0, 0), (0.1875, 0.1875)]
    assert [tuple(pair) for pair in y[:, 900].reshape(5, 2)] == held


def test_what_is_no_pair_of_the_device_is_left_out_and_the_main_pair_is_as_without():
    player, alone = staged(TRACKS), staged(graph({"a": ("gain", {"gain": 0.5})}, ["in > a", "a > out"]))
    assert np.array_equal(whole(player, ones(1024), ("1-2",)), play(alone, ones(1024)))


def test_pairs_are_in_time_with_each_other_and_the_cue_is_as_early_as_it_can():
    made = graph({"late": ("lag", {"frames": 300})}, ["in > late", "late > out", "in > out.3-4", "in > out.cue"])
    x = ones(2048)
    x[:, 1:] = 0.0
    y = whole(staged(made), x, device_pairs(6, "5-6"))
    assert [int(np.argmax(row)) for row in y[::2]] == [300, 300, 0]


@pytest.mark.parametrize("there", [True, False])
def test_a_wire_to_the_cue_fades_in_and_out_without_a_click(there):
    nodes = {"a": ("gain", {"mute": True})}
    wires = ["in > a", "a > out"]
    before, after = (graph(nodes, wires + ["a > out.cue"] * cued) for cued in (not there, there))
    player = staged(before)
    x, pairs = ones(4096), device_pairs(4, "3-4")
    first = whole(player, x, pairs)
    player.load(plan(after, SPEC, player.plan), 2, 0.02)
    second = whole(player, x, pairs)
    assert (first[2, -1], second[2, -1]) == ((0.0, 0.5) if there else (0.5, 0.0))
    assert float(np.abs(np.diff(np.concatenate([first, second], axis=1)[2, 512:])).max()) < 0.001


def test_each_bus_is_limited_and_finite_by_itself_and_a_panic_and_the_end_fade_them():
    made = graph({"loud": ("gain", {"gain": 4.0})}, ["in > loud", "loud > out.3-4", "in > out", "in > out.cue"])
    player = staged(made)
    y = whole(player, ones(1024), device_pairs(6, "5-6"))
    assert (y[0, 600], y[4, 600]) == (0.5, 0.5)
    assert 0.9 < y[2, 600] <= 1.0
    player.take(Panic())
    y = whole(player, ones(256), device_pairs(6, "5-6"))
    assert not y[:, -1].any()
    whole(player, ones(2048), device_pairs(6, "5-6"))
    player.take(FadeOut())
    assert not whole(player, ones(2048), device_pairs(6, "5-6"))[:, -1].any()


def test_the_master_volume_is_that_of_all_pairs_but_the_cue():
    from antiphon.kernel.graph.io_nodes import ENDS, OUT_NUMBER
    from antiphon.kernel.session.actions import NodeSet

    gain = next(n for n, p in enumerate(ENDS["out"][1].cells) if p.name == "mute")
    player = staged(TRACKS)
    player.take(NodeSet(OUT_NUMBER, gain, 1.0, 0.0))
    y = whole(player, ones(4096), device_pairs(6, "5-6"))
    assert not y[:4, -1].any()
    assert y[4, -1] == 0.1875


def test_a_node_muted_while_it_plays_goes_on_in_the_cue():
    made = graph({"a": "gain"}, ["in > a", "a > out", "a > out.cue"])
    player = staged(made)
    player.take(put(made, "a", "mute", 1.0))
    y = whole(player, ones(4096), device_pairs(4, "3-4"))
    assert (y[2] == 0.5).all()
    assert not y[0, -1]


def test_wires_to_pairs_and_removed_nodes():
    assert [str(wire.dest) for wire in TRACKS.wires[4:6]] == ["out.3-4", "out.7-8"] or TRACKS.end(
        "out.3-4", "in", CATALOG
    )
    with pytest.raises(PatchError, match=r"out\.3-4 to out\.15-16, or out\.cue, not 'out\.4-5'"):
        TRACKS.end("out.4-5", "in", CATALOG)
    left = {(str(w.source), str(w.dest)) for w in TRACKS.remove("a", CATALOG).wires}
    assert ("in.in", "out.3-4") in left
    left = {(str(w.source), str(w.dest)) for w in TRACKS.remove("click", CATALOG).wires}
    assert ("in.in", "out.cue") not in left


def test_pairs_of_files_and_names_of_ports():
    assert pairs_of(TRACKS) == ("1-2", "3-4", "5-6", "7-8")
    assert pairs_of(TRACKS, "5-6") == ("1-2", "3-4", "cue", "7-8")
    assert device_pairs(2) == ("1-2",)
    assert device_pairs(2, "5-6") == ("1-2", "3-4", "cue")
    assert DriverOptions(pairs=device_pairs(2)).outs == ("out_1", "out_2")
    named = DriverOptions(pairs=device_pairs(2, "5-6")).outs
    assert named == ("out_1", "out_2", "out_3", "out_4", "cue_1", "cue_2")
