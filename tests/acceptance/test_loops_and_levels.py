"""What DESIGN says in a sentence and an ear would notice: loops, panics, levels."""

import socket
from pathlib import Path

import numpy as np
import pytest
import soundfile
from pythonosc.osc_bundle import OscBundle
from pythonosc.osc_message import OscMessage
from tests.local import graph, play, put, staged
from tests.waiting import play_for

from antiphon.files.audiofile import resampled_loop
from antiphon.kernel.session.commands import Panic
from antiphon_bench.rig import ServerProcess, message

RATE = 48000
THROUGH = graph({"g": "gain"}, ["in > g", "g > out"])


@pytest.mark.parametrize(("rate", "wanted"), [(44100, 48000), (96000, 44100), (8000, 96000)])
@pytest.mark.parametrize("extra", [0, 1])
def test_a_resampled_loop_has_no_seam(rate: int, wanted: int, extra: int) -> None:
    frames = rate // 2 + extra
    cycles = 200
    x = np.sin(2 * np.pi * cycles * np.arange(frames) / frames).astype(np.float32)
    y = resampled_loop(np.stack([x, -x]), rate, wanted)
    assert y.shape == (2, round(frames * wanted / rate))
    expected = np.sin(2 * np.pi * cycles * np.arange(y.shape[1]) / y.shape[1])
    assert np.abs(y[0] - expected).max() < 1e-5
    assert np.array_equal(y[0], -y[1])


@pytest.mark.parametrize("late", [0, 1000])
@pytest.mark.parametrize("dry", [0.0, 1.0])
def test_after_a_panic_there_is_silence_within_a_block_and_no_click(late: int, dry: float) -> None:
    made = graph({"l": ("lag", {"frames": late, "bypass": dry})}, ["in > l", "l > out"])
    stage = staged(made)
    block = stage.spec.block
    x = np.full((stage.spec.channels, block), 0.25, np.float32)
    heard = []
    for n in range(30):
        if n == 10:
            stage.at_sample(stage.sample + 100 * block, put(made, "l", "mute", 1.0))
            stage.take(Panic())
        heard.append(stage.run(x)[0].copy())
    y = np.concatenate(heard)[5 * block :]
    assert y[6 * block - 1] == 0.0
    assert len(stage.schedule) == 0
    # down over a block, up over 10 ms: by a parabola where input and output rise together
    assert np.abs(np.diff(y)).max() <= 0.25 * max(1 / block, 2 / (0.010 * RATE)) * 1.01
    assert np.all(y[-block:] == 0.25)


def test_a_panic_is_the_same_however_the_blocks_are_cut() -> None:
    outs = []
    for size in (64, 48, 7):
        stage = staged(THROUGH)
        stage.take(Panic())
        play(stage, np.full((2, 64), 0.5, np.float32))
        outs.append(play(stage, np.full((2, 640), 0.5, np.float32), [size]))
    assert np.array_equal(outs[0], outs[1])
    assert np.array_equal(outs[0], outs[2])


def test_meters_tell_peak_and_rms_of_each_node(tmp_path: Path) -> None:
    t = np.arange(RATE) / RATE
    soundfile.write(tmp_path / "in.wav", 0.5 * np.sin(2 * np.pi * 1000 * t), RATE, "FLOAT")
    found: dict[str, tuple[float, float]] = {}
    with (
        ServerProcess("--audio", "headless", "--input", str(tmp_path / "in.wav"), home=tmp_path) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as surface,
    ):
        server.send("/node/gain/gain", 0.5)
        server.sync()
        play_for(server, 0.1)
        surface.settimeout(60.0)
        surface.sendto(message("/notify", 1), ("127.0.0.1", server.osc))
        while len(found) < 3:
            data = surface.recv(65536)
            said = list(OscBundle(data)) if data.startswith(b"#bundle") else [OscMessage(data)]
            for one in said:
                if isinstance(one, OscMessage) and one.address == "/meter":
                    name, peak, rms = one.params
                    found[name] = (peak, rms)
    assert found["in"] == pytest.approx((0.5, 0.5 / 2**0.5), rel=0.05)
    assert found["gain"] == pytest.approx((0.25, 0.25 / 2**0.5), rel=0.05)
    assert found["out"] == pytest.approx(found["gain"], rel=0.05)
