"""A worker process: forked by a zygote, it creates its stepper, warms it up, and computes hops until it is killed."""

import contextlib
import gc
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.kernel.errors import AntiphonError, Unanswered
from antiphon.kernel.runtime import extras, resources
from antiphon.kernel.runtime.console import log_plugin_prints
from antiphon.kernel.runtime.importing import import_module, import_object, remove_modules, versions
from antiphon.kernel.runtime.platform import (
    PORTABLE,
    end_with_parent,
    limit_resources,
    private_memory,
    ring,
    short_slices,
    thread_clocks,
    wait_bell,
)
from antiphon.kernel.workers.arena import (
    MAX_DEPTH,
    OWN_WORDS,
    Arena,
    Bells,
    SlotWord,
    State,
    WorkerEntry,
    WorkerWord,
    tag,
)
from antiphon.kernel.workers.low_latency_events import EventReader
from antiphon.kernel.workers.spec import Stepper, WorkerSpec
from antiphon.native.compiling import compile_all

SWITCH_SECONDS = 2e-4
"""Interpreter switch interval of the loading thread, s: the worker's own thread has to answer a hop in milliseconds;
Python's default is 5 ms."""


class Preloading:
    """One background task at a time, in its own thread. `notify`: called in that thread at its end."""

    def __init__(self, notify: Callable[[], None]) -> None:
        self._notify = notify
        self._running = False
        self._ended = ""

    def poll(self, name: str, work: Callable[[], None]) -> bool:
        """Starts the task unless one is running; returns True if it was the last task that ended.

        An exception in the thread ends the task: the caller repeats the work itself and raises the same one.
        """
        if self._running or self._ended == name:
            return not self._running
        self._running = True
        sys.setswitchinterval(SWITCH_SECONDS)
        threading.Thread(target=self._run, args=(name, work), daemon=True).start()
        return False

    def _run(self, name: str, work: Callable[[], None]) -> None:
        with contextlib.suppress(Exception):
            work()
        resources.trim()
        self._ended, self._running = name, False
        self._notify()


RESTART_STATUS = 77
"""Exit status if the worker's program or device did not answer: restarted without limit."""
REFUSED = 78
"""Exit status if another start would fail too."""
FAULT = 79
"""Exit status if the stepper failed."""
MEASURED = 64
"""Number of hops measured at the start."""


class WorkerFault(Exception):
    """A stepper's answer cannot be played."""


def hop_times(step: Callable[[], object], hops: NDArray[np.int64]) -> NDArray[np.int64]:
    """Measures each of the first `MEASURED` hops, in ns, without the time that the thread waited for a CPU.

    Other programs' load at that moment is no cost of the model. Where the system does not distinguish waiting from
    sleep, the waiting is included.
    """
    took = np.zeros(MEASURED, np.int64)
    for n in range(MEASURED):
        hops.fill(n)
        waited, began = thread_clocks()[1], time.perf_counter_ns()
        step()
        spent = time.perf_counter_ns() - began
        took[n] = spent if PORTABLE else max(0, spent - (thread_clocks()[1] - waited))
    return took


def run(arena: Arena, number: int, bells: Bells) -> int:
    """Main function of a worker process, after the fork.

    Exit status: `RESTART_STATUS`, `REFUSED` or `FAULT`; the reason is in the entry.
    """
    log_plugin_prints()
    entry = arena.entries[number]
    spec = entry.spec()
    try:
        if spec.device == "cpu":  # a GPU's driver maps far more than it uses
            most = private_memory() + (spec.memory << 20)
            limit_resources(data=most)
        worker = Worker(entry, spec, bells.wake[number], bells.answer[number])
        worker.prepare()
    except Unanswered as error:
        entry.set_reason(str(error))
        return RESTART_STATUS
    except AntiphonError as error:
        entry.set_reason(str(error))
        return REFUSED
    except ModuleNotFoundError as error:
        entry.set_reason(f"needs {error.name}, which is not installed{_install(error.name, spec)}")
        return REFUSED
    except MemoryError:
        entry.set_reason(f"takes more than {spec.memory} MB")
        return FAULT
    except Exception as error:
        entry.set_reason(_message_of(error))
        return FAULT
    try:
        worker.serve()
    except MemoryError:
        entry.set_reason(f"ran out of its {spec.memory} MB")
    except Exception as error:
        entry.set_reason(_message_of(error))
    return FAULT


def import_kind(imports: str) -> None:
    """Imports and compiles the modules that workers of a kind need; nothing for "none"."""
    if imports != "none":
        with contextlib.suppress(Exception):  # the worker reports what is wrong with the module
            import_module(imports)
        with contextlib.suppress(Exception):  # an image that cannot be loaded: the worker reports it
            compile_all()  # once, and not by each worker when it starts


def run_alone(arena: Arena, number: int, bells: Bells, parent: int) -> int:
    """Runs a worker that was not forked: it imports its modules itself, and leads a process group."""
    os.setpgid(0, 0)
    spec = arena.entries[number].spec()
    import_kind(spec.imports or spec.zygote)
    return run(arena, number, bells) if end_with_parent(parent) else 1


def _install(module: str | None, spec: WorkerSpec) -> str:
    """How to install a missing module of an extra or zygote; "" for other modules, whose package name may differ."""
    package = (module or "").partition(".")[0]
    return (
        f"; {extras.install_command(package)}"
        if package in extras.EXTRAS or (package and package == spec.zygote)
        else ""
    )


def _message_of(error: Exception) -> str:
    return str(error) if isinstance(error, WorkerFault) else f"raised {type(error).__name__}: {error}"


class Worker:
    """A stepper and the slots it serves."""

    def __init__(self, entry: WorkerEntry, spec: WorkerSpec, wake: int, answer: int) -> None:
        self._entry, self._spec, self._wake, self._bell = entry, spec, wake, answer
        self._words, self._slots = entry.words, entry.slots[: spec.slots]
        self._tags_in, self._tags_out = entry.tags_in, entry.tags_out
        self._ring_in, self._ring_out = entry.rings(spec)
        words = entry.words
        own = words[WorkerWord.OWN : WorkerWord.OWN + OWN_WORDS]
        words[WorkerWord.TAKES] = 0
        for word in range(OWN_WORDS):
            own[word] = 0
        for folder in map(Path, spec.versions):
            remove_modules(folder.name)  # the zygote may have imported another version
            versions[folder.name] = folder
        self._stepper: Stepper = import_object(spec.factory)(spec)
        attach = getattr(self._stepper, "attach", None)
        if attach is not None:
            attach(own, self._refuse)
        listen = getattr(self._stepper, "listen", None)
        self._events: EventReader | None = None
        if listen is not None and listen(self._read_events):
            self._events = EventReader(entry)
        self._preload: Callable[[str], Callable[[], None] | None] | None = getattr(self._stepper, "preload", None)
        self._preloading = Preloading(lambda: ring(wake))
        self._hops = np.full(spec.slots, -1, np.int64)
        self._x = np.zeros((spec.slots, *spec.inputs), np.float32)
        self._y = np.zeros((spec.slots, *spec.outputs), np.float32)
        self._open = [0] * spec.slots
        self._epochs = [0] * spec.slots
        self._cursors = [0] * spec.slots
        self._seen = -1
        self._finite = np.zeros(spec.outputs, np.bool_)

    def _refuse(self, why: str, again: bool) -> None:
        """Ends the process, from any of its threads. `again` tells whether to start another."""
        self._entry.set_reason(why)
        os._exit(FAULT if again else REFUSED)

    def prepare(self) -> None:
        """Warms up and measures the stepper, opens the wanted streams, and sets READY_NS."""
        self._stepper.warm()
        compile_all()  # what it has not called yet would be compiled in the middle of a hop
        self._measure()
        gc.collect()
        resources.trim()
        if self._preload is None:
            resources.set_trim_threshold(resources.PLAYING)
        gc.freeze()
        gc.disable()
        short_slices()
        self._look()
        self._words[WorkerWord.CUDA] = int(getattr(self._stepper, "device", self._spec.device) == "cuda")
        self._words[WorkerWord.TAKES] = int(self._events is not None)
        if self._words[WorkerWord.STATE] == State.WAITING:
            self._entry.set_reason("")  # the reason was that it waited
        self._words[WorkerWord.READY_NS] = time.monotonic_ns()

    def serve(self) -> None:
        """Sleeps until the engine has posted hops, computes all of them, and repeats; returns only by an error."""
        wake = self._wake
        while True:
            wait_bell(wake)
            while self._turn():
                pass

    def _measure(self) -> None:
        spec = self._spec
        for slot in range(spec.slots):
            self._stepper.open(slot, "")
        took = hop_times(lambda: self._stepper.step(self._hops, self._x, self._y), self._hops)
        self._check_shape()
        for slot in range(spec.slots):
            self._stepper.close(slot)
        self._words[WorkerWord.HOP_P50_NS] = int(np.percentile(took, 50))
        self._words[WorkerWord.HOP_P99_NS] = int(np.percentile(took, 99))

    def _look(self) -> bool:
        """Applies the engine's changes: opens and closes streams, begins epochs. Returns False if nothing changed."""
        changes = self._words[WorkerWord.CHANGES]
        if changes == self._seen:
            return False
        self._seen = changes
        generation, read = self._words[WorkerWord.GENERATION], self._entry.slot
        for slot in range(self._spec.slots):
            serial = read(slot, SlotWord.OPEN)
            # FIRST and BORN are written before EPOCH: they belong to it when EPOCH is the same before and after
            epoch = read(slot, SlotWord.EPOCH)
            first, began = read(slot, SlotWord.FIRST), read(slot, SlotWord.BORN)
            if read(slot, SlotWord.EPOCH) != epoch:
                self._seen = -1
                continue
            if serial != self._open[slot]:
                if self._open[slot]:
                    self._stepper.close(slot)
                self._open[slot] = self._epochs[slot] = 0
                if serial and not self._is_preloaded(self._entry.config(slot)):
                    self._seen = -1  # looked at again before the next hop
                    continue
                self._open[slot] = serial
                if serial:
                    self._stepper.open(slot, self._entry.config(slot))
                self._entry.set_slot(slot, SlotWord.READY, serial)
            if serial and epoch != self._epochs[slot] and began == generation:
                if self._epochs[slot]:
                    self._stepper.open(slot, self._entry.config(slot))
                self._epochs[slot], self._cursors[slot] = epoch, first
                self._entry.set_slot(slot, SlotWord.CURSOR, self._cursors[slot])
                self._entry.set_slot(slot, SlotWord.SEEN, epoch)
        return True

    def _is_preloaded(self, config: str) -> bool:
        """True if a stream opens without waiting; otherwise a worker with streams loads its files in the background."""
        if self._preload is None or not self._words[WorkerWord.READY_NS]:
            return True
        work = self._preload(config)
        return work is None or self._preloading.poll(config, work)

    def _turn(self) -> bool:
        """Computes one hop of every slot that has one. Returns False if there is none."""
        self._look()
        self._read_events()
        depth, any_posted = self._spec.depth, False
        for slot, epoch in enumerate(self._epochs):
            at = self._cursors[slot]
            if epoch and self._tags_in[slot * MAX_DEPTH + at % depth] == tag(epoch, at):
                self._x[slot] = self._ring_in[slot, at % depth]
                self._hops[slot] = at
                any_posted = True
            else:
                self._hops[slot] = -1
        if not any_posted:
            return False
        began = time.perf_counter_ns()
        self._stepper.step(self._hops, self._x, self._y)
        self._answer()
        spent = time.perf_counter_ns() - began
        words = self._words
        words[WorkerWord.HOP_NS] += (spent - words[WorkerWord.HOP_NS]) // 64
        if words[WorkerWord.WAITING]:
            ring(self._bell)
        return True

    def _read_events(self) -> None:
        """Reads low-latency events; their copies inside the hop are skipped."""
        if self._events is not None:
            for slot, stream, event in self._events.drain():
                if slot < len(self._open) and self._open[slot] == stream and self._epochs[slot]:
                    self._stepper.hurry(slot, event)  # type: ignore[attr-defined]

    def _answer(self) -> None:
        """Writes the answers to the rings. Raises WorkerFault when one cannot be played."""
        depth, done = self._spec.depth, 0
        self._check_shape()
        for slot, hop in enumerate(self._hops.tolist()):
            if hop < 0:
                continue
            y = self._y[slot]
            if not np.isfinite(y, out=self._finite).all():
                raise WorkerFault("gave NaN or infinity")
            self._ring_out[slot, hop % depth] = y
            self._tags_out[slot * MAX_DEPTH + hop % depth] = tag(self._epochs[slot], hop)
            self._cursors[slot] = hop + 1
            self._entry.set_slot(slot, SlotWord.CURSOR, hop + 1)
            done += 1
        self._words[WorkerWord.DONE] += done

    def _check_shape(self) -> None:
        if self._y.shape != (self._spec.slots, *self._spec.outputs):
            raise WorkerFault(f"gave a wrong shape: {list(self._y.shape)}")
