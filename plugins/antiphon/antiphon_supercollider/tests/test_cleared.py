"""A node that was cleared: nothing old is heard of it, and nothing of a new note is left out. No scsynth here."""

from collections import deque
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from antiphon.api import Event
from antiphon.api.backends.synths import SynthSettings
from antiphon_supercollider.backend import SPLICE_SECONDS, SuperCollider
from antiphon_supercollider.info import delay

RATE, BEGUN = 48000, 200
OLD, NEW = 0.25, 1.0
TONE = 2 * np.pi * 440 / RATE
ORGAN = SynthSettings(instrument="organ")


class StepWires:
    """Plays `OLD` for ever, and `NEW` from the frame `note` on."""

    rate, returned_frames, down = RATE, 0, False

    def __init__(self, block: int) -> None:
        self.block, self.counter, self.note = block, 4096 * block, 1 << 60

    def read(self, frame: int, slot: int, into: Any) -> bool:
        into[:] = np.where(frame + np.arange(into.shape[1]) >= self.note, NEW, OLD)
        return True

    def close(self) -> None:
        """There is nothing to close."""


class CapturingBackend(SuperCollider):
    sent: list[bytes]

    def _keep(self, slots: int, spare: bool, restarts: int) -> Any:
        self.sent = []
        layout = SimpleNamespace(nodes=0, clock=0, private=0, places=0, held=0, group=lambda s: 1, sound=lambda s: 0)
        return SimpleNamespace(
            generation=0,
            until=0,
            has=1 << 30,
            ended=deque(),
            layout=layout,
            flush=lambda: None,
            counts=SimpleNamespace(moved=0, unheard=0, unclaimed=0, failed=0),
            shelf=SimpleNamespace(ask=lambda *a: None, take=lambda s: None),
            send=lambda some, _generation=0: self.sent.extend(packet for _, packet in some),
        )


def play(
    backend: CapturingBackend,
    hops: int,
    notes: Sequence[int] = (0,),
    before: Callable[[int], None] = lambda hop: None,
    within: Callable[[int], None] = lambda hop: None,
) -> np.ndarray:
    """The sound of so many hops, `[frames]`, with a note on at each of `notes`.

    before, within: called ahead of each hop, and between its events and its sound.
    """
    block = backend._wires.block
    out, heard = np.zeros((1, 2, block), np.float32), []
    for hop in range(hops):
        backend._wires.counter += block  # type: ignore[misc]
        before(hop)
        backend.play(0, hop * block, [Event("on", 0, 60, 0.8)] if hop in notes else [])
        within(hop)
        backend.render(out, np.array([True]))
        heard.append(out[0, 0].copy())
    return np.concatenate(heard)


def opened(wires: StepWires) -> CapturingBackend:
    backend = CapturingBackend(RATE, wires.block, 1, wires=wires)  # type: ignore[arg-type]
    backend.open(0, ORGAN)
    return backend


@pytest.mark.parametrize("after", [0, 40], ids=["at once", "later"])
@pytest.mark.parametrize("block", [64, 256, 1024])
def test_a_note_after_a_panic_has_its_attack_and_the_old_one_is_gone(block: int, after: int) -> None:
    """after: hops to the note, all that time scsynth has not heard of the panic."""
    wires = StepWires(block)
    backend = opened(wires)

    def before(hop: int) -> None:
        if hop == BEGUN:
            backend.open(0, ORGAN)
            wires.note = (hop + after) * block + backend._constants[-1][1]

    x = play(backend, BEGUN + after + 3 * delay(RATE, block), (0, BEGUN + after), before)
    begins = (BEGUN + after + delay(RATE, block)) * block
    assert np.flatnonzero(x == NEW)[0] == begins
    assert (x[(BEGUN - 1) * block], x[BEGUN * block : begins].any()) == (OLD, False)
    assert any(packet.startswith(b"/g_freeAll") for packet in backend.sent)


class DyingWires(StepWires):
    """Plays a tone up to the frame `dies`, then what another scsynth plays that has no notes yet."""

    dies = 1 << 60

    def read(self, frame: int, slot: int, into: Any) -> bool:
        frames = frame + np.arange(into.shape[1])
        into[:] = np.where(frames < self.dies, np.cos(frames * TONE), 0.0)
        return True


@pytest.mark.parametrize("block", [64, 256, 1024])
@pytest.mark.parametrize("within", [0.0, 0.4], ids=["between-hops", "within-a-hop"])
def test_the_sound_of_a_scsynth_that_died_fades_out_where_another_follows_at_once(block: int, within: float) -> None:
    wires = DyingWires(block)
    backend = opened(wires)

    def die(hop: int) -> None:
        if hop == BEGUN:
            wires.dies = backend.keeper.until = backend._frames[0] + round(within * block)
            backend.keeper.generation += 1

    x = play(backend, BEGUN + 200, within=die)[50 * block :]
    last = (BEGUN - 50) * block
    assert np.abs(x[last - block : last]).max() > 0.9
    assert np.abs(np.diff(x)).max() < 1.1 * TONE
    assert not x[last + round(0.011 * RATE) + block :].any()


class ToneWires(StepWires):
    """Plays a tone whose phase follows the frame."""

    def read(self, frame: int, slot: int, into: Any) -> bool:
        into[:] = np.sin((frame + np.arange(into.shape[1])) * TONE)
        return frame + into.shape[1] <= self.counter


@pytest.mark.parametrize("block", [64, 256])
@pytest.mark.parametrize(
    ("late", "seconds", "moved"), [(4, 0.3, 0), (4, 1.5, 2), (-4, 0.3, 2)], ids=["catches-up", "stays-late", "early"]
)
def test_an_engine_that_is_held_up_breaks_no_tone(block: int, late: int, seconds: float, moved: int) -> None:
    """JACK's clock goes on by `late` delays of a hop while the engine computes none, and back after a while."""
    wires = ToneWires(block)
    backend = opened(wires)
    shift = late * backend.delay // 4 * block
    first, last = 200, 200 + round(seconds * RATE / block)

    def before(hop: int) -> None:
        wires.counter += {first: shift, last: -shift}.get(hop, 0)

    x = play(backend, last + 400, before=before)[50 * block :]
    assert backend.counts.moved == moved
    # a splice would step by up to 2; a crossfade of 5 ms adds 1/120 of that a frame
    assert np.abs(np.diff(x)).max() < 1.3 * TONE + 2.0 / (SPLICE_SECONDS * RATE * 0.99)
