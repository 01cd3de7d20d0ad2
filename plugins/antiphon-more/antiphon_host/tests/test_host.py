"""Plugins of others: declared by what they are, exact in files, dry and back again where they fail."""

import asyncio
import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.each import each
from tests.waiting import until
from tests.workers.rig import PATIENCE, Rig

from antiphon.api import BlockTime, Event, FileError, ParamError, Processor, StreamSpec
from antiphon.api.backends.rendering import load_plugins
from antiphon.kernel.control.subscribers.feedback import param_level
from antiphon.kernel.errors import PatchError
from antiphon.kernel.graph.compiler import compile_plan
from antiphon.kernel.graph.patch import dump, parse
from antiphon.kernel.io.osc_peer import Level
from antiphon.kernel.plugins.loader import construct_processor
from antiphon.kernel.workers.arena import State
from antiphon.kernel.workers.pool import use as use_pool
from antiphon.networks import lockstep
from antiphon.networks.lockstep import spawn
from antiphon.testing import noise, render
from antiphon_host import catalogue, describe, states, vst3
from antiphon_host.card import ControlList, HostedControl, PluginCard
from antiphon_host.catalogue import ScanService, card_of
from antiphon_host.clap import ClapInstance
from antiphon_host.lv2 import Lv2Instance
from antiphon_host.tests import made_plugin
from antiphon_host.tests.made_plugin import URI
from antiphon_host.worker import Hosted

RATE = 48000
SPEC = StreamSpec(RATE, 128, 2)
PATCH = f"""format = 1
nodes.fx = {{type = "plugin", uri = "lv2:{URI}:gain", gain = 0.5}}
wires = {{"in" = "fx", "fx" = "out"}}
"""


@pytest.fixture(scope="module")
def loaded():
    return load_plugins(check=False)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the made plugins; their descriptions are kept in it too."""
    try:
        describe.library()
    except ParamError:
        pytest.skip("liblilv is not installed: LV2 plugins cannot be hosted here")
    folder = tmp_path_factory.mktemp("lv2")
    if not made_plugin.build(folder):
        pytest.skip("there is no C compiler to build a test plugin with")
    return folder


@pytest.fixture
def made(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_HOME", str(bundle / "home"))
    for variable in ("LV2_PATH", "CLAP_PATH", "VST3_PATH", "HOME"):
        monkeypatch.setenv(variable, str(bundle))


def node(loaded, name: str) -> Processor:
    """The processor of a made plugin, as a plan makes it."""
    kind = f"plugin {name if ':' in name else f'lv2:{URI}:{name}'}"
    processor = construct_processor(kind, loaded.factories["processors"])
    processor.params = loaded.catalog[kind].params
    processor.inputs, processor.outputs = loaded.catalog[kind].inputs, loaded.catalog[kind].outputs
    processor.settings = {**{param.name: param.default for param in processor.params}, **processor.settings}
    return processor


@pytest.fixture(autouse=True)
def closed_streams() -> Iterator[None]:
    yield
    current = lockstep.current()
    for stream in list(current.streams) if current is not None else ():
        stream.close()


def test_a_plugin_is_declared_by_its_ports_and_controls(made, loaded) -> None:
    info = loaded.catalog[f"plugin lv2:{URI}:gain"]
    assert info.doc == "Made gain."
    gain, fault = info.params[3:]
    assert (gain.name, gain.default, gain.low, gain.high, gain.doc) == ("gain", 1.0, 0.0, 2.0, "How loud.")
    assert (fault.name, fault.kind, fault.choices) == ("bypass_2", "choice", tuple(made_plugin.FAULTS))
    assert card_of(f"lv2:{URI}:gain").latency == 32
    notes = loaded.catalog[f"plugin lv2:{URI}:synth"]
    assert [port.kind for port in notes.inputs] == ["events"]
    assert notes.on_files.tail


def described(loaded, address: str) -> dict[str, Any]:
    return {param.name: param for param in loaded.catalog[f"plugin {address}"].params[3:]}


def test_ports_that_say_too_much_or_too_little(made, loaded) -> None:
    params = described(loaded, f"lv2:{URI}:ports")
    assert list(params) == ["center", "hold", "freq", "shape", "filter"], "of two that are designated one is the host's"
    assert (params["hold"].kind, params["hold"].default) == ("switch", False)
    assert (params["freq"].default, params["freq"].high, params["freq"].unit) == (440.0, 24000.0, "samp")
    assert (params["shape"].choices, params["shape"].default) == (("Sine", "Saw", "Noise"), "Saw")
    assert (params["filter"].kind, params["filter"].doc) == ("float", "Filter (0.02: Fast, 1: Slow).")


@pytest.mark.parametrize(
    ("rate", "value", "heard"), [(44100, None, 9924.7), (48000, None, 10802.4), (44100, 21600.0, 19845.0)]
)
def test_a_value_that_follows_the_rate_is_that_of_the_sound(made, loaded, rate, value, heard) -> None:
    values = {} if value is None else {"center": value}
    out = render(node(loaded, "ports"), StreamSpec(rate, 128, 2), np.zeros((2, 4800), np.float32), values).audio[0]
    np.testing.assert_allclose(out[:, 512:], heard, rtol=1e-5)


@pytest.mark.parametrize(("value", "heard"), [(440.0, 440.0), (24000.0, 22050.0)])
def test_a_default_in_hz_is_that_at_every_rate_and_its_range_the_rates(made, value, heard) -> None:
    instance = Lv2Instance(card_of(f"lv2:{URI}:ports"), 44100, 128)
    instance.set(5, value)
    assert instance._values[5] == heard
    instance.close()


def test_a_clap_plugin_may_call_what_a_host_need_not_offer(made, loaded) -> None:
    params = described(loaded, "clap:made.clap")
    assert (params["attack"].unit, params["level"].unit) == ("ms", ""), "percent are not what its numbers count"
    assert (params["attack"].default, params["level"].default) == (20.0, 0.5), "as it begins, not as it says"
    assert (params["mode"].choices, params["mode"].default) == (("Soft", "Hard", "Off"), "Hard")
    sound = noise(2 * 4800, seed=5).reshape(2, 4800)
    fx = node(loaded, "clap:made.clap")
    out = render(fx, SPEC, sound, {}).audio[0]
    assert fx.latency == 2 * 128 + 480
    np.testing.assert_array_equal(
        out[0, fx.latency :], sound.mean(0)[: -fx.latency], "also what came before its restart"
    )


def test_a_pressure_is_the_channels_as_far_as_all_its_notes_have_it(made, loaded) -> None:
    """The made plugin gives the last message as a number: the status, the first data byte, whether there is more."""
    notes = [Event("on", 0, 60, 1.0), Event("pressure", 1000, 60, 1.0), Event("on", 2000, 64, 1.0)]
    notes += [Event("pressure", 3000, 64, 64 / 127)]
    out = render(node(loaded, "clap:made.clap"), SPEC, np.zeros((2, 4800), np.float32), notes=notes).audio[0][0]
    heard = [int(out[256 + n * 1000 + 500]) for n in range(4)]
    assert heard == [0x90 * 10000 + 601, 0xD0 * 10000 + 1270, 0x90 * 10000 + 641, 0xA0 * 10000 + 601]


def test_a_clap_plugin_without_midi_is_told_that_all_notes_end(made) -> None:
    card = card_of("clap:made.clap")
    instance = ClapInstance(replace(card, more={**card.more, "midi": False}), 48000, 128)
    instance.run([(0, b"\x91\x3c\x40"), (5, b"\xb1\x01\x40"), (7, b"\xb1\x78\x00"), (9, b"\xb1\x7b\x00")])
    events = [(event.type, event.time, event.channel, event.key) for event in instance._events]
    instance.close()
    assert events == [(0, 0, 1, 60), (2, 7, 1, -1), (1, 9, 1, -1)], "by CLAP 1.1: on, choke, off; -1 is every key"


class Vst3:
    """What pedalboard shows of a plugin whose meters and host's values are parameters."""

    name, manufacturer_name, is_instrument, is_effect, reported_latency_samples = "Made", "", False, True, 480

    def __init__(self) -> None:
        row = {"type": float, "range": (0.0, 1.0, None), "name": "N", "label": "", "valid_values": []}
        names = ("buffer_size_frames", "latency_frames", "gain", "azimuth", "level_db")
        self.parameters = {name: SimpleNamespace(**row, raw_value=1.0, is_automatable=name == "gain") for name in names}
        self.gain = self.azimuth = 1.0
        self.past = np.zeros((2, 480), np.float32)

    def process(self, sound, rate, reset: bool, **_: object):
        sound = sound * self.parameters["azimuth"].raw_value
        self.past = np.concatenate([0.0 * self.past[:, :480] if reset else self.past, sound], 1)
        return self.past[:, -480 - sound.shape[1] : -480]


def test_a_vst3_plugin_reports_its_latency_and_shows_no_meters(made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vst3, "_load", lambda _: Vst3())
    card = vst3.card("/made.vst3")
    assert [control.name for control in card.controls] == ["gain", "azimuth"]
    played, heard = vst3.Vst3Instance(card, RATE, 128), []
    for n in range(16):
        played.x[:] = n == 2
        played.run([])
        heard.append(played.y.copy())
    assert np.flatnonzero(np.concatenate(heard, 1)[0])[0] == 256 + played.latency


@each(
    "kind, address, reason",
    [
        ("plugin", f"lv2:{URI}:odd", r"uri: Made odd needs urn:odd:feature, which is not offered"),
        ("plugin", f"lv2:{URI}:broken", "uri: Made broken cannot be loaded"),
        ("plugin", "lv2:urn:nothing", "uri: lv2:urn:nothing is no LV2 plugin of this machine"),
        ("plugin", "clap:nothing", "uri: clap:nothing is no CLAP plugin of this machine"),
        ("plugin", "vst3:/etc/passwd", "uri: vst3:/etc/passwd is in none of the folders of VST3 plugins"),
        ("plugin", "lv2:", "takes lv2:URI, clap:ID or vst3:PATH"),
        ("plugin", "/usr/lib/x.so", "takes lv2:URI, clap:ID or vst3:PATH"),
        ("plugin", 5, "line 2"),
        (f"plugin lv2:{URI}:gain", f"lv2:{URI}:synth", f"takes lv2:{URI}:gain, which the type names"),
        ("plugin", "lv2:a\x1b", "takes lv2:URI"),
    ],
)
def test_what_cannot_be_hosted_is_refused_by_name(made, loaded, kind: str, address: object, reason: str) -> None:
    uri = json.dumps(address)
    text = f'format = 1\nnodes.fx = {{type = "{kind}", uri = {uri}}}\nwires = {{"in" = "fx", "fx" = "out"}}'
    with pytest.raises(PatchError, match=reason) as caught:
        parse(text, loaded.catalog)
    assert "line 2" in str(caught.value)


def test_an_event_loop_waits_for_little_and_what_is_refused_is_not_tried_again(monkeypatch, tmp_path) -> None:
    tried, answered = [], threading.Event()

    def described(address: str) -> Iterator[PluginCard]:
        tried.append(address)
        assert answered.wait(60.0), "the loop has waited for it"
        yield PluginCard(address, problem="fails")

    monkeypatch.setenv("ANTIPHON_HOME", str(tmp_path))
    monkeypatch.setattr(catalogue, "_described", described)
    monkeypatch.setattr(catalogue, "LOOP_SECONDS", 0.2)

    async def asked() -> None:
        for n in range(3):
            with pytest.raises(ParamError, match="still being described"):
                card_of(f"lv2:slow{n}")
        answered.set()

    asyncio.run(asked())
    for n in range(3):
        with pytest.raises(ParamError, match=f"lv2:slow{n} fails"):
            card_of(f"lv2:slow{n}")
    assert sorted(tried) == [f"lv2:slow{n}" for n in range(3)]
    assert not list(tmp_path.rglob("*.json"))


def test_one_that_is_gone_is_still_declared(made, loaded, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"lv2:{URI}:gain"
    known = card_of(address)
    monkeypatch.setattr(catalogue, "_stamp", lambda _: [0, 0])
    monkeypatch.setattr(catalogue, "_described", lambda _: iter(()))
    with pytest.raises(ParamError, match="is no LV2 plugin"):
        card_of(address)
    assert card_of(address, changed=True) == known
    assert f"plugin {address}" in loaded.catalog
    assert "gain lv2:x" not in loaded.catalog
    catalogue._tried.clear()


def test_what_names_code_or_is_written_is_the_owners(made, loaded) -> None:
    cells = loaded.catalog[f"plugin lv2:{URI}:gain"].cells
    assert {p.name for p in cells if param_level(p) is Level.OWNER} == {"uri", "state", "keep"}


def test_scan_lists_each_plugin_by_its_address(made) -> None:
    lines = [line for line in ScanService().lines(("lv2",)) if line.startswith(f"lv2:{URI}")]
    assert [line.split("  ")[0] for line in lines] == sorted(f"lv2:{URI}:{name}" for name in made_plugin.NAMES)
    assert ["not hosted" in line for line in lines] == [True, False, False, True, False, False]


def test_a_patch_holds_it_and_is_written_as_it_was_read(made, loaded, tmp_path) -> None:
    patch = parse(PATCH + 'macros = {loud = ["fx.gain", 0.0, 1.0]}\nmidi = {"cc 3" = "fx.gain"}', loaded.catalog)
    fx = patch.graph.node("fx")
    assert (fx.type, dict(fx.values)) == (f"plugin lv2:{URI}:gain", {"gain": 0.5})
    assert loaded.catalog[fx.type].written(fx.values) == ("plugin", {"uri": f"lv2:{URI}:gain", "gain": 0.5})
    assert parse(dump(patch), loaded.catalog).graph == patch.graph


@pytest.mark.parametrize("blocks", [[128], [1, 127, 64, 100]])
def test_files_hear_it_exactly(made, loaded, blocks: list[int]) -> None:
    sound = noise(2 * 4800, seed=3).reshape(2, 4800)
    fx = node(loaded, "gain")
    out = render(fx, SPEC, sound, {"gain": 0.5}, blocks=blocks).audio[0]
    late = fx.latency
    assert late == 2 * 128 + 32
    np.testing.assert_array_equal(out[:, 256:], 0.5 * sound[:, :-256])


@pytest.mark.parametrize(
    ("values", "late"),
    [({}, 0), ({"ahead": 700.0}, 700), ({"twice": True}, 0), ({"ahead": 700.0, "twice": True, "gain": 0.5}, 1400)],
)
def test_its_latency_is_what_it_reports_with_the_nodes_values(made, loaded, values: dict[str, Any], late: int) -> None:
    info = loaded.catalog[f"plugin lv2:{URI}:late"]
    assert [param.name for param in info.params if param.restart] == ["ahead", "twice"], "their change makes a new plan"
    sound = noise(2 * 9600, seed=4).reshape(2, 9600)
    fx = node(loaded, "late")
    out = render(fx, SPEC, sound, values).audio[0]
    assert fx.latency == 2 * 128 + late
    np.testing.assert_array_equal(out[:, fx.latency :], values.get("gain", 1.0) * sound[:, : -fx.latency])


def test_a_plan_waits_for_the_latency_of_its_values(made, loaded) -> None:
    """As it is made anew where a value has changed, live or in a file."""
    for ahead in (0.0, 700.0, 3999.0):
        text = (
            f'format = 1\nnodes.fx = {{type = "plugin", uri = "lv2:{URI}:late", ahead = {ahead}}}\n'
            'wires = {"in" = "fx", "fx" = "out"}'
        )
        plan = compile_plan(parse(text, loaded.catalog).graph, loaded.catalog, loaded.make, SPEC, {"fx": 1})
        assert plan.latency == 2 * 128 + ahead


def test_a_latency_is_asked_once_for_all_engines(made, loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    address, values = f"lv2:{URI}:late", (("ahead", 650.0),)
    first = catalogue.query_plugin_latency(address, 0, RATE, 128, values)
    catalogue.query_plugin_latency.cache_clear()  # as a new engine has it
    monkeypatch.delattr(catalogue, "spawn")
    assert catalogue.query_plugin_latency(address, 0, RATE, 128, values) == first


def test_a_note_begins_and_ends_at_its_frame(made, loaded) -> None:
    notes = [Event("on", 1000, 64, 1.0), Event("off", 2000, 64)]
    out = render(node(loaded, "synth"), SPEC, np.zeros((2, 4800), np.float32), notes=notes).audio[0]
    expected = np.zeros(4800, np.float32)
    expected[1256:2256] = 0.5
    np.testing.assert_array_equal(out[0], expected)


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    use_pool(made.pool)
    child, lifeline = spawn("host", made.arena, made.bells, "antiphon_host.worker")
    yield made
    use_pool(None)
    os.close(lifeline)
    os.waitpid(child, 0)
    made.close()


@pytest.mark.parametrize("fault", [name for name in made_plugin.FAULTS if name != "none"])
def test_one_that_fails_is_dry_and_comes_back_with_its_values(made, loaded, rig: Rig, fault: str) -> None:
    plan = compile_plan(parse(PATCH, loaded.catalog).graph, loaded.catalog, loaded.make, SPEC, {"fx": 1})
    until(rig.pool.is_settled, PATIENCE, "the worker is ready")
    host, now, heard = plan.hosts[1], BlockTime(), []
    cell = next(n for n, param in enumerate(host.info.cells) if param.name == "bypass_2")

    def block() -> float:
        rig.pool.until_ns = time.monotonic_ns() + 1_000_000
        plan.input[:] = 1.0
        peak = float(plan.run(128, now)[0].min())
        rig.pool.flush()
        now.sample += 128
        heard.append(peak)
        time.sleep(0.002)  # the pace of a device
        return peak

    def plays() -> bool:
        for stream in rig.pool.streams:
            # a machine that stalls is taken for a worker that hangs, and after three of these it is not started again
            if stream.entry.state == State.QUARANTINED:
                stream.retry()
        return block() == 0.5

    until(plays, PATIENCE, "it plays")
    heard.clear()

    def dry() -> bool:
        # asked for again where a late worker dropped its hop; at once it would be had again after the restart, and a
        # worker that ends so often is not started any more
        if len(heard) % 500 == 0:
            host.post(cell, 0, float(made_plugin.FAULTS[fault]), 0.0)
        return block() == 1.0

    until(dry, PATIENCE, "it is dry")
    host.post(cell, 0, 0.0, 0.0)
    until(plays, PATIENCE, "it is back, with its gain")
    assert min(heard) > 0.49
    plan.hosts[1].processor.close()


def test_controls_get_names_and_ranges_that_a_node_can_have() -> None:
    controls = ControlList()
    nan, most = float("nan"), float("inf")
    for symbol, span, given in (
        ("Wet", (0.0, 1.0, 0.5), {}),
        ("7th", (nan, nan, nan), {}),
        ("a b", (-most, most, 0.0), {}),
        ("a.b", (5.0, 1.0, 9.0), {}),
        ("same", (1.0, 1.0, 1.0), {}),
        ("n", (0.5, 3.5, 1.6), {"kind": "int"}),
        ("f", (0.0, 9.0, 1.0), {"log": True}),
        ("m", (0.0, 2.0, 1.2), {"points": [("x", 0.0), ("x", 1.0), ("y", 2.0)]}),
    ):
        points = given.pop("points", ())
        controls.add(replace(HostedControl(0, symbol, "float", *span, symbol), **given), points)
    params = [control.param() for control in controls.found]
    assert [p.name for p in params] == ["wet_2", "p7th", "a_b", "a_b_2", "n", "f", "m"]
    assert [(p.low, p.high, p.default) for p in params[1:5]] == [(0, 1, 0), (-1e9, 1e9, 0), (1, 5, 5), (1, 3, 2)]
    assert (params[5].warp, params[6].choices, params[6].default) == ("linear", ("x", "x 2", "y"), "x 2")
    assert all(p.check(p.default) == p.default for p in params)


def test_keep_writes_the_state_of_a_node(made, loaded) -> None:
    sound = np.ones((2, 48000), np.float32)
    settings = {"state": "kept"}
    render(node(loaded, "gain"), SPEC, sound, settings, events=[(1000, "keep", True)])
    until(states.place_of("kept").exists, PATIENCE, "the worker has written it")
    assert (states.read("kept", f"lv2:{URI}:gain"), states.place_of("kept").suffix) == (b"", ".state")
    out = render(node(loaded, "gain"), SPEC, sound, settings).audio[0]
    np.testing.assert_array_equal(out[:, 256:], sound[:, :-256])
    with pytest.raises(ParamError, match="kept is the state of"):
        render(node(loaded, "synth"), SPEC, sound, settings)


def test_keep_spares_a_state_that_was_not_restored_and_outlives_a_full_disk(made, loaded, monkeypatch, capsys) -> None:
    fx = node(loaded, "gain")
    spec = replace(fx.worker(SPEC), name="gain")
    hosted = Hosted(spec)
    x, y = np.zeros((1, *spec.inputs), np.float32), np.zeros((1, *spec.outputs), np.float32)
    more = x[0][2:].reshape(-1)
    monkeypatch.setattr(Lv2Instance, "save", lambda _: b"new")

    def keep(name: str) -> str:
        hosted._played = True
        hosted.open(0, name)
        more[0], more[2] = 1.0, more[2] + 1.0
        hosted.step(np.zeros(1, np.int64), x, y)
        hosted.close(0)
        return capsys.readouterr().err

    states.write("old", f"lv2:{URI}:gain", b"no JSON")
    assert "not restored" in keep("old")
    assert keep("old") == "", "said once"
    assert states.read("old", f"lv2:{URI}:gain") == b"no JSON"
    assert keep("fresh") == ""
    assert states.read("fresh", f"lv2:{URI}:gain") == b"new"
    monkeypatch.setattr(states, "MAX_BYTES", 10)
    assert "is not kept" in keep("larger")


def test_a_state_is_kept_under_its_name_for_its_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    assert states.read("organ", "lv2:urn:a") == b""
    states.write("organ", "lv2:urn:a", b"\x00\xff")
    assert states.read("organ", "lv2:urn:a") == b"\x00\xff"
    with pytest.raises(ParamError, match="organ is the state of lv2:urn:a"):
        states.read("organ", "lv2:urn:b")
    states.place_of("organ").write_bytes(b"{")
    with pytest.raises(ParamError, match="organ cannot be read"):
        states.read("organ", "lv2:urn:a")
    monkeypatch.setattr(states, "MAX_BYTES", 40)
    with pytest.raises(FileError, match="at most"):
        states.write("organ", "lv2:urn:a", b"x" * 40)
    for name in ("../organ", "a/b", ".organ"):
        with pytest.raises(FileError):
            states.read(name, "lv2:urn:a")
