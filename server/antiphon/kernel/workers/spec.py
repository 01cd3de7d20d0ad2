"""Specification of a worker as plain data: written by the engine, read by the zygote that forks the process."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.params import Value
from antiphon.kernel.errors import WorkerError

MAX_SPEC_BYTES = 3072
"""Maximum bytes of a spec as JSON: its space in the arena."""
MAX_SLOTS = 64
"""Maximum slots of a worker."""


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """Specification of a worker process. Streams of equal specs share the process and its loaded data, a slot each.

    Attributes:
        name: Its name in `/status` and messages.
        factory: "module:Name", imported in the worker and called with this spec; it returns a `Stepper`.
        zygote: Kind of the process that it is forked from, which has imported a module already, so that workers start
            fast and share its memory: "torch", "none" for the server's own imports, or a name that the plugin chooses,
            at most 63 bytes. A server has at most 8 kinds.
        hop: Frames of a hop.
        rate: Frames per second.
        inputs: Shape of one slot's hop, float32, of any meaning.
        outputs: Shape of one slot's answer, float32, of any meaning.
        slots: Streams it takes, 1 to 64; a step computes all of them.
        depth: Hops that a slot's ring holds.
        device: "cpu" or "cuda".
        memory: Megabytes it may take beyond what its zygote has.
        imports: The module that the zygote imports before it forks; "" for a module named like the zygote. The first
            worker of a kind decides; later ones import theirs when they start.
        describe: "module:name" of a function that extends a synth's entry in `/api/status`, or ""; unused for other
            workers. It is called in the control process with (said, own, settings): the status by name, the worker's
            own words as integers, and `settings`. The dictionary it returns replaces and extends the status.
    """

    name: str
    factory: str
    zygote: str = "torch"
    hop: int = 480
    rate: int = 48000
    inputs: tuple[int, ...] = (1, 480)
    outputs: tuple[int, ...] = (1, 480)
    slots: int = 4
    depth: int = 8
    device: str = "cpu"
    memory: int = 512
    settings: Mapping[str, Value] = field(default_factory=dict)
    imports: str = ""
    describe: str = ""
    versions: tuple[str, ...] = ()

    @classmethod
    def of_sound(cls, name: str, factory: str, stream: StreamSpec, hop: int, fields: int, slots: int = 4) -> WorkerSpec:
        """Spec of a worker that answers hops of streams of this rate and number of channels by `fields` numbers."""
        inputs, outputs = (stream.channels, hop), (fields,)
        rate = stream.rate
        return cls(name, factory, zygote="none", hop=hop, rate=rate, inputs=inputs, outputs=outputs, slots=slots)

    def to_json(self) -> bytes:
        """The spec as JSON with sorted keys. Raises WorkerError: it is longer than `MAX_SPEC_BYTES`."""
        data = json.dumps(asdict(self), sort_keys=True).encode()
        if len(data) > MAX_SPEC_BYTES:
            raise WorkerError(f"the worker {self.name} is described by {len(data)} bytes; at most {MAX_SPEC_BYTES}")
        return data

    @staticmethod
    @lru_cache(64)  # more than an arena's workers, which their parent looks at 50 times a second
    def from_json(data: bytes) -> WorkerSpec:
        """Unpacks the result of `to_json`."""
        read: dict[str, Any] = json.loads(data)
        lists = {name: tuple(read[name]) for name in ("inputs", "outputs", "versions")}
        return WorkerSpec(**{**read, **lists})

    def with_versions(self, versions: Mapping[str, Path]) -> WorkerSpec:
        """The spec with those of the versions that its modules have, so that no worker of another version is shared.

        Returns the spec itself if there are none.
        """
        texts = [self.factory, self.imports, *(v for v in self.settings.values() if isinstance(v, str))]
        folders = [
            str(folder)
            for plugin, folder in sorted(versions.items())
            if any(text == plugin or text.startswith((f"{plugin}.", f"{plugin}:")) for text in texts)
        ]
        return replace(self, versions=tuple(folders)) if folders else self

    @property
    def floats_in(self) -> int:
        """Floats of one slot's hop."""
        return math.prod(self.inputs)

    @property
    def floats_out(self) -> int:
        """Floats of one slot's answer."""
        return math.prod(self.outputs)


class Stepper(Protocol):
    """Hop-by-hop computation of a worker, returned by the factory of a `WorkerSpec`.

    All calls come from one thread. After `warm` memory does not grow by playing. An exception ends the worker, with
    that exception as the reason; an `AntiphonError` raised by the factory means that a restart would not help.

    A stepper whose `open` would take longer than a hop, because it loads files first, may also have a method
    `preload(config)`: it returns a function that loads them, called in another thread while the worker's other streams
    play, or None if nothing is missing. `open` follows after it has ended. A stepper that chooses its device stores it
    in `device`.
    """

    def warm(self) -> None:
        """Runs steps until none is slow for being the first, and leaves every slot in its initial state."""

    def open(self, slot: int, config: str) -> None:
        """Opens a stream with an initial state."""

    def close(self, slot: int) -> None:
        """Closes a stream: the slot gets no more hops."""

    def step(self, hops: NDArray[np.int64], x: Samples, y: Samples) -> None:
        """Computes one hop of every slot that has one. The state of the other slots is unchanged.

        `hops`: `[slots]`: each slot's hop number on the sample clock, or -1 where it has none. `x`: float32 `[slots,
        *inputs]`; rows without a hop are undefined. `y`: float32 `[slots, *outputs]`, to be filled in rows with a hop.
        """
