"""Stores assets for scsynth besides our SynthDefs: users' definitions and sounds, read by a thread into a folder.

scsynth may read only this folder. Every scsynth, including the spare, receives all assets; its loaded version
determines which nodes can play.
"""

import contextlib
import os
import queue
import shutil
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import soundfile

from antiphon.api.backends import transports as osc
from antiphon.api.backends.files import built_in_folder
from antiphon.api.backends.runtime import say
from antiphon.api.backends.synths import SynthSettings
from antiphon_supercollider.scsynth import server
from antiphon_supercollider.voices.material import MAX_CHANNELS, MAX_SECONDS, Definition, VoiceAssets, own_synthdef

MAX_ASSETS = 24
"""Maximum sounds, and maximum definitions; the oldest unused one is removed first."""
COMPILED, OWN, SOUNDS = "compiled", "own", "sounds"


@dataclass(frozen=True, slots=True)
class Asset:
    """One asset. `version`: store version that first contains it; `load`: the message that loads it."""

    version: int
    load: bytes


class NodeAssets:
    """Asset store in `folder`, by slot of node. One thread changes it; `since` is thread-safe. first: first buffer."""

    def __init__(self, folder: Path, first: int = 0) -> None:
        self.folder, self.version, self._first = folder, 0, first
        for name in (OWN, SOUNDS):
            (folder / name).mkdir()
        self._items: dict[str, Asset] = {}
        self._gone: tuple[Asset, ...] = ()
        self._sounds: dict[tuple[str, int, int, bool], tuple[int, int]] = {}
        self._uses: dict[int, tuple[str, ...]] = {}

    def since(self, version: int) -> list[bytes]:
        """Messages that bring a scsynth of that version up to date, in order."""
        all_of_it = sorted((*self._items.values(), *self._gone), key=lambda item: item.version)
        return [item.load for item in all_of_it if item.version > version]

    def material(self, slot: int, settings: SynthSettings) -> VoiceAssets:
        """Reads the assets of a node into the folder.

        Raises FileError: a file cannot be used. Raises OSError: the folder cannot be written.
        """
        definition = own_synthdef(settings) if settings.synthdef else None
        used: list[str] = []
        if definition is not None:
            used.append(self._put_definition(definition))
        buffer, channels = -1, 0
        if settings.sound:
            mono = definition is None and settings.instrument == "grains"
            buffer, channels = self._put_sound(Path(settings.sound), mono)
            used.append(f"sound {buffer}")
        self._uses[slot] = tuple(used)
        return VoiceAssets(definition, buffer, channels)

    def leave(self, slot: int) -> None:
        """Releases the assets of a slot whose node was removed."""
        self._uses.pop(slot, None)

    def _put(self, key: str, load: bytes) -> None:
        # the version is written last: a reader that sees it sees all of the asset
        self._items = {**self._items, key: Asset(self.version + 1, load)}
        self.version += 1

    def _put_definition(self, definition: Definition) -> str:
        if definition.name not in self._items:
            path = self.folder / OWN / f"{definition.name}.scsyndef"
            path.write_bytes(definition.data)
            self._make_room("antiphon-own")
            self._put(definition.name, osc.encode("/d_load", str(path)))
        return definition.name

    def _put_sound(self, path: Path, mono: bool) -> tuple[int, int]:
        from antiphon.api.backends.analysis import listening_mono
        from antiphon.api.backends.files import read_sound

        stamp = path.stat()
        key = (str(path), stamp.st_size, stamp.st_mtime_ns, mono)
        if key in self._sounds:
            return self._sounds[key]
        sound = read_sound(path, max_samples=int(MAX_SECONDS * 48000 * MAX_CHANNELS))
        x = sound.samples[:MAX_CHANNELS]
        x = listening_mono(x)[None] if mono else x
        self._make_room("sound")
        taken = {number for number, _ in self._sounds.values()}
        number = next(n for n in range(self._first, self._first + 4 * MAX_ASSETS) if n not in taken)
        file = self.folder / SOUNDS / f"{number}.wav"
        soundfile.write(file, x.T, sound.rate, subtype="FLOAT")
        self._put(f"sound {number}", osc.encode("/b_allocRead", number, str(file)))
        self._sounds[key] = (number, int(x.shape[0]))
        return self._sounds[key]

    def _make_room(self, kind: str) -> None:
        mine = [key for key in self._items if key.startswith(kind)]
        used = {key for keys in self._uses.values() for key in keys}
        for key in [k for k in mine if k not in used][: max(0, len(mine) - MAX_ASSETS + 1)]:
            self._items = {k: item for k, item in self._items.items() if k != key}
            if kind != "sound":
                self._gone = (*self._gone[-MAX_ASSETS:], Asset(self.version + 1, osc.encode("/d_free", key)))
                self.version += 1
                with contextlib.suppress(OSError):
                    (self.folder / OWN / f"{key}.scsyndef").unlink()
            else:
                number = int(key.split()[1])
                self._sounds = {k: v for k, v in self._sounds.items() if v[0] != number}
                self._gone = (*self._gone[-MAX_ASSETS:], Asset(self.version + 1, osc.encode("/b_free", number)))
                self.version += 1
                with contextlib.suppress(OSError):
                    (self.folder / SOUNDS / f"{number}.wav").unlink()


class AssetLoader(NodeAssets):
    """Asset store in its own folder, filled by its own thread: audio threads read no files.

    `changed`: called from that thread on an update. `first`: number of the first buffer.
    """

    def __init__(self, changed: Callable[[], None] = lambda: None, first: int = 0) -> None:
        server.sweep()
        folder = Path(tempfile.mkdtemp(prefix=f"{server.PREFIX}{os.getpid()}-"))
        (folder / server.RUNNING).mkdir()
        shutil.copytree(built_in_folder("supercollider") / COMPILED, folder / COMPILED)
        super().__init__(folder, first)
        self._changed = changed
        self._asked: queue.SimpleQueue[tuple[int, int, SynthSettings | None] | None] = queue.SimpleQueue()
        self._given: dict[int, tuple[int, VoiceAssets | None, int]] = {}
        self._serial: dict[int, int] = {}
        self._thread = threading.Thread(target=self._run, name="scsynth-shelf", daemon=True)
        self._thread.start()

    def ask(self, slot: int, settings: SynthSettings | None) -> None:
        """Requests the assets of a slot, replacing an earlier request; settings None: the slot's node was removed."""
        self._serial[slot] = self._serial.get(slot, 0) + 1
        self._given.pop(slot, None)
        self._asked.put((slot, self._serial[slot], settings))

    def take(self, slot: int) -> tuple[VoiceAssets | None, int] | None:
        """Assets of a slot and the store version that contains them.

        Returns None until they are read; the assets are None if they cannot be read.
        """
        entry = self._given.get(slot)
        return None if entry is None or entry[0] != self._serial.get(slot) else entry[1:]

    def close(self) -> None:
        self._asked.put(None)
        self._thread.join(15.0)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self) -> None:
        while (asked := self._asked.get()) is not None:
            slot, serial, settings = asked
            if settings is None:
                self.leave(slot)
                continue
            material: VoiceAssets | None = None
            try:
                material = self.material(slot, settings)
            except Exception as error:
                # the file was changed since the node was made: the error is reported, the next request served
                say(f"scsynth cannot be given what a synth plays: {error}")
            self._given[slot] = (serial, material, self.version)
            self._changed()
