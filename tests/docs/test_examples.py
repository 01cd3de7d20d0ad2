"""The programs and notebooks in examples/: the filters against minimal stand-ins of Pipecat's and LiveKit's classes."""

import sys
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Generic, TypeVar

import numpy as np
import pytest
from tests.commands import ROOT

import antiphon
from antiphon.testing import sound as audio

EXAMPLES = ROOT / "examples"
RATE, FRAMES = 16000, 320
SPOKEN = np.round(
    32767.0 * (audio.noise(RATE, level=-34.0, seed=5)[0] + audio.sine(220.0, 1.0, RATE, -16.0)[0])
).astype(np.int16)
T = TypeVar("T")


@dataclass
class InputAudioRawFrame:
    audio: bytes
    sample_rate: int
    num_channels: int


class PipecatProcessor:
    def __init__(self) -> None:
        self.pushed: list[Any] = []

    async def process_frame(self, frame: Any, direction: Any) -> None:
        assert direction == "down"

    async def push_frame(self, frame: Any, direction: Any) -> None:
        self.pushed.append(frame)

    async def cleanup(self) -> None:
        pass


@dataclass
class AudioFrame:
    data: Any
    sample_rate: int
    num_channels: int
    samples_per_channel: int

    def __post_init__(self) -> None:
        self.data = memoryview(self.data).cast("B").cast("h")


class LiveKitProcessor(Generic[T]):
    pass


def example(name: str, monkeypatch: pytest.MonkeyPatch, **modules: Any) -> ModuleType:
    """A program of examples/, with these modules in place of a framework."""
    for module, names in modules.items():
        monkeypatch.setitem(sys.modules, module.replace("__", "."), names)
    spec = spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def cleaned() -> np.ndarray:
    """What a chain makes of it."""
    with antiphon.Chain(("denoise", {"latency": "low"}), rate=RATE) as chain:
        parts = np.split(SPOKEN.astype(np.float32) / 32768.0, len(SPOKEN) // FRAMES)
        y = np.concatenate([chain.process(part) for part in parts])
    return np.clip(32768.0 * y, -32768.0, 32767.0).astype(np.int16)


def blocks() -> list[bytes]:
    return [part.tobytes() for part in np.split(SPOKEN, len(SPOKEN) // FRAMES)]


async def test_a_pipecat_processor_denoises(monkeypatch: pytest.MonkeyPatch) -> None:
    made = example(
        "pipecat_denoise",
        monkeypatch,
        pipecat__frames__frames=SimpleNamespace(InputAudioRawFrame=InputAudioRawFrame),
        pipecat__processors__frame_processor=SimpleNamespace(FrameProcessor=PipecatProcessor),
    )
    denoise = made.Denoise()
    for block in blocks():
        await denoise.process_frame(InputAudioRawFrame(block, RATE, 1), "down")
    await denoise.process_frame("text", "down")
    await denoise.cleanup()
    *heard, text = denoise.pushed
    assert text == "text"
    np.testing.assert_array_equal(np.frombuffer(b"".join(frame.audio for frame in heard), np.int16), cleaned())


def test_a_livekit_filter_denoises(monkeypatch: pytest.MonkeyPatch) -> None:
    rtc = SimpleNamespace(FrameProcessor=LiveKitProcessor, AudioFrame=AudioFrame)
    made = example("livekit_denoise", monkeypatch, livekit=SimpleNamespace(rtc=rtc))
    denoise = made.Denoise()
    heard = [denoise._process(AudioFrame(block, RATE, 1, FRAMES)) for block in blocks()]
    denoise.enabled = False
    frame = AudioFrame(blocks()[0], RATE, 1, FRAMES)
    assert denoise._process(frame) is frame
    denoise._close()
    np.testing.assert_array_equal(np.concatenate([np.array(frame.data) for frame in heard]), cleaned())


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_is_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 60


@pytest.mark.real
@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path) -> None:
    import nbclient
    import nbformat

    book = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(book, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("text/html" in output.get("data", {}) for output in shown)
