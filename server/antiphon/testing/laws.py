"""Laws that every processor keeps: the same samples in blocks of any sizes, and after a reset as when it was new."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.event import Event
from antiphon.kernel.contract.harness import Change, Rendered, render
from antiphon.kernel.contract.params import Param, Value
from antiphon.kernel.contract.processor import Processor
from antiphon.testing.sound import sung

SPEC = StreamSpec(rate=48000, block=256, channels=2)
BLOCKS = (1, 255, 7, 256, 100)
"""Sizes of blocks, in frames, that are compared with whole ones."""
TURNED = 12
"""Parameters that are turned while it plays, at most."""
NOTES = (
    Event("on", 1000, 60, 0.8),
    Event("on", 9000, 64, 0.5),
    Event("bend", 12000, 0, 0.5),
    Event("off", 20000, 60),
    Event("on", 35001, 46, 0.9),
)


def check_laws(
    make: Callable[[], Processor],
    settings: Mapping[str, Value] | None = None,
    *,
    sound: Samples | None = None,
    notes: Sequence[Event] = NOTES,
    fired: Sequence[Change] = (),
) -> None:
    """Raises AssertionError that names the law which a processor breaks; arguments as for `broken_law`."""
    if law := broken_law(make, settings, sound=sound, notes=notes, fired=fired):
        raise AssertionError(f"it sounds otherwise {law}")


def broken_law(
    make: Callable[[], Processor],
    settings: Mapping[str, Value] | None = None,
    *,
    sound: Samples | None = None,
    notes: Sequence[Event] = NOTES,
    fired: Sequence[Change] = (),
) -> str:
    """The law that a processor breaks, or "": "after a reset", or "in other blocks" while its parameters are turned.

    Args:
        make: Makes a processor; its class does. It is called three times.
        settings: First values of parameters.
        sound: float32 `[channels, frames]` for each audio input; None is .75 s of a sung tone.
        notes: Events for a processor that takes notes.
        fired: Changes of parameters `(sample, name, value)` in all runs, such as triggers that begin what it does.

    Raises:
        PluginError: It breaks the contract that `run_processor` holds it to.
    """
    sound = sung(220.0, 0.75, 2) if sound is None else sound
    nodes = [make() for _ in range(3)]
    changes = [*fired, *turned_parameters(nodes[0].params)]

    def play(node: Processor, turned: Sequence[Change], blocks: Iterable[int] | None = None) -> Rendered:
        heard = {port.name: sound[: port.channels] for port in node.inputs if port.signal}
        given = () if all(port.signal for port in node.inputs) else notes
        return render(node, SPEC, heard or sound, settings, turned, blocks, given)

    fresh = play(nodes[0], fired)
    nodes[0].prepare = lambda spec: nodes[0].reset()  # type: ignore[method-assign]
    pairs = {
        "after a reset": (fresh, play(nodes[0], fired)),
        "in other blocks": (play(nodes[1], changes), play(nodes[2], changes, BLOCKS)),
    }
    for node in nodes:
        node.close()
    return next((law for law, (one, other) in pairs.items() if not _are_alike(one, other)), "")


def turned_parameters(params: Sequence[Param]) -> list[Change]:
    """Changes that turn each parameter which may be turned once, to another value than its default, at odd frames."""
    kinds = ("float", "int", "choice", "switch")
    turned = [p for p in params if p.kind in kinds and not (p.readonly or p.restart)][:TURNED]
    changes: list[Change] = []
    for n, p in enumerate(turned):
        values: dict[str, Value] = {"choice": p.choices[-1] if p.choices else "", "switch": not p.default}
        value = values[p.kind] if p.kind in values else type(p.default)(p.low + 0.4 * (p.high - p.low))
        changes.append((2003 + 2001 * n, p.name, value))
    return changes


def _are_alike(one: Rendered, other: Rendered) -> bool:
    """Whether the samples agree within 1e-5, and the events and reports exactly."""
    # a note-off or a control at the first frame ends what sounded before a reset
    events = [[e for e in done.events if e.offset or e.kind not in ("off", "control")] for done in (one, other)]
    alike = all(np.allclose(a, b, atol=1e-5) for a, b in zip(one.audio, other.audio, strict=True))
    return alike and events[0] == events[1] and one.reports == other.reports
