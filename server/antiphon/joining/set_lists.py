"""The loaded set list: its patches in order, by `/set/…` and the pedals that it names."""

import contextlib
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, TypeAlias, cast

from msgspec import Meta

from antiphon.joining import set_list
from antiphon.joining.set_list import SetList
from antiphon.kernel.control.app import ControlApp
from antiphon.kernel.control.osc.arguments import OWNER, Args, OscCall, Word, osc, text
from antiphon.kernel.control.osc.handlers.graph import listing
from antiphon.kernel.control.osc.served import OscServer
from antiphon.kernel.errors import AntiphonError, PatchError, RequestError
from antiphon.kernel.graph import patch as patches
from antiphon.kernel.graph.names import SUFFIX
from antiphon.kernel.io.osc_peer import Peer
from antiphon.kernel.runtime.settings import ServeSettings

log = logging.getLogger("antiphon.control")
printed_log = logging.getLogger("antiphon.said")
NAME = "set"
"""Name of what this module adds, among what has joined control."""
KEPT = 2 * set_list.MAX_PATCHES
"""Patches whose MIDI controllers are kept; the oldest is dropped first."""
Place: TypeAlias = tuple[SetList | None, int]
"""Set list, None without one, and the index of the last requested patch in it, from 0."""

ReadSet: TypeAlias = tuple[SetList, patches.Patch, Mapping[str, Mapping[str, str]]]
"""Set list, its first patch, and the MIDI controllers of each of its patches by name."""


class Sets:
    """The commands of a set list, and the position in it: `list` and `place`, as of `Place`."""

    def __init__(self, server: OscServer) -> None:
        """Begins without a set list."""
        self._catalog, self._plans, self._state = server.catalog, server.plans, server.session.state
        self._feedback, self._saver = server.feedback, server.saver
        self._known: dict[Path, tuple[tuple[int, int], object, Mapping[str, str]]] = {}

    @property
    def list(self) -> SetList | None:
        """The set list."""
        return self._at()[0]

    @property
    def place(self) -> int:
        """The index in it."""
        return self._at()[1]

    def _at(self) -> Place:
        place: Place = self._state.shown.place or (None, 0)
        return place

    def report(self) -> None:
        """Reports the position to subscribers."""
        if self.list is not None:
            here = self.list.patches[self.place]
            self._feedback.event("/set/at", self.list.name, self.place + 1, len(self.list.patches), here)
        self._saver.mark_changed()

    def pedals(self) -> dict[str, str]:
        """The OSC addresses of the set's MIDI controllers, for example "cc 66" → "/set/next"."""
        return {} if self.list is None else {control: f"/set/{step}" for control, step in self.list.midi.items()}

    def status(self, playing: str, midi: Mapping[str, str] = MappingProxyType({})) -> dict[str, Any] | None:
        """The entry of `GET /api/status`, `place` from 1; `outside`: another patch runs. None without a set list.

        `pedals`: the function of each of the set's controllers, and the patch's in `midi` that it replaces, or "".
        """
        if self.list is None:
            return None
        return {
            "file": self.list.file,
            "name": self.list.name,
            "place": self.place + 1,
            "patches": list(self.list.patches),
            "outside": Path(playing).stem != self.list.patches[self.place].removesuffix(SUFFIX),
            "pedals": {control: [does, midi.get(control, "")] for control, does in self.list.midi.items()},
        }

    def to_json(self) -> dict[str, Any]:
        """The position, for another control process."""
        return {"set": None if self.list is None else [self.list.file, self.place]}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Takes the position from the `to_json` of an earlier control; none if the set list's file is not valid."""
        with contextlib.suppress(KeyError, TypeError, ValueError, AntiphonError):
            name, place = saved["set"]
            loaded = set_list.load(name)
            self._state.keep(place=(loaded, min(int(place), len(loaded.patches) - 1)))

    def load(self, name: str, peer: Peer | None, address: str) -> str:
        """Does what `read` and `begin` do."""
        return self.begin(self.read(set_list.load(name)), peer, address)

    def read(self, loaded: SetList) -> ReadSet:
        """Reads the patches of a set list. Raises PatchError: one is not valid."""
        first = patches.load(loaded.patches[0], self._catalog)
        return loaded, first, {one: self._midi_of(one) for one in loaded.patches}

    def _midi_of(self, name: str) -> Mapping[str, str]:
        """MIDI controllers of a patch, whose file is read again if it, or what plugins there are, has changed."""
        path, types = patches.find(name), self._catalog.types
        stat = path.stat()
        stamp = stat.st_mtime_ns, stat.st_size
        known = self._known.get(path)
        if known is None or known[0] != stamp or known[1] is not types:
            known = self._known[path] = stamp, types, patches.load(name, self._catalog).midi
            while len(self._known) > KEPT:
                del self._known[next(iter(self._known))]
        return known[2]

    def begin(self, read: ReadSet, peer: Peer | None, address: str) -> str:
        """Begins a set list with its first patch.

        Returns a remark on the pedals that the set takes over from its patches, or ""; subscribers get it too.
        """
        loaded, first, midi = read
        self._play(loaded, 0, first, peer, address)
        taken = [
            f"{control} is {step} and not {midi[one][control]} of {one}"
            for control, step in loaded.midi.items()
            for one in midi
            if control in midi[one]
        ]
        if not taken:
            return ""
        remark = f"while the set {loaded.name} is loaded, {'; '.join(taken)}"
        printed_log.info("%s", remark)
        self._feedback.event("/remark", address, remark, source=peer.key if peer is not None else None)
        return remark

    def _present(self) -> SetList:
        if self.list is None:
            known = ", ".join(set_list.names()[:40]) or "none"
            raise RequestError(f"no set is loaded; /set/load takes one of: {known}")
        return self.list

    def go(self, place: int, ask: OscCall, address: str) -> None:
        """Loads the patch at index `place`, from 0; `RequestError` without a set, or beyond its end."""
        sets = self._present()
        if not 0 <= place < len(sets.patches):
            raise RequestError(f"{sets.name} has patches 1 to {len(sets.patches)}, not {place + 1}")
        name = sets.patches[place]

        def play(patch: patches.Patch) -> None:
            self._play(sets, place, patch, ask.peer, address)

        ask.read(address, patches.size(name), lambda: patches.load(name, self._catalog), play)

    def save(self, name: str, listed: tuple[str, ...]) -> None:
        """Saves patches, in order, as a set list of the performer's, and makes it the loaded one.

        Fade and pedals are copied from the previously loaded set; the sound does not change. Raises AntiphonError: it
        is not valid, or cannot be written; nothing has changed.
        """
        before, here = self._at()
        stem = name.removesuffix(SUFFIX)
        based = before if before is not None else SetList(stem, stem, listed)
        shown = based.name if based.file == stem else stem
        made = replace(based, file=stem, name=shown, patches=listed)
        set_list.save(made)
        playing = before.patches[here] if before is not None else ""
        self._move_to_place(made, listed.index(playing) if playing in listed else min(here, len(listed) - 1))

    def _play(self, sets: SetList, place: int, patch: patches.Patch, peer: Peer | None, address: str) -> None:
        # change the position after the load: a refusal or an undo returns to the position before it
        self._plans.load(patch, sets.fade, peer, address, (sets.patches[place],))
        self._move_to_place(sets, place)

    def _move_to_place(self, sets: SetList, place: int) -> None:
        self._state.keep(place=(sets, place))
        self.report()

    def step(self, by: int, ask: OscCall, address: str) -> None:
        """Loads the next patch (`by` 1) or the previous one (-1); an invalid one is reported and skipped."""
        sets = self._present()
        places = range(self.place + by, len(sets.patches) if by > 0 else -1, by)
        left, bad = iter(places), list[str]()

        def read() -> tuple[int, patches.Patch] | None:
            for place in left:
                try:
                    return place, patches.load(sets.patches[place], self._catalog)
                except PatchError as error:
                    bad.append(str(error))
            return None

        def play(found: tuple[int, patches.Patch] | None) -> None:
            while found is not None:
                place, patch = found
                try:
                    self._play(sets, place, patch, ask.peer, address)
                    break
                except PatchError as error:
                    bad.append(str(error))
                    found = read()
            for sentence in bad:
                log.warning("%s", sentence)
                self._feedback.event("/patch/failed", sentence)
            if found is None:
                end = "last" if by > 0 else "first"
                raise RequestError(bad[-1] if bad else f"this is the {end} patch of {sets.name}")

        size = 0
        with contextlib.suppress(PatchError):  # its file has gone: it is passed over
            size = patches.size(*(sets.patches[place] for place in places[:1]))
        ask.read(address, size, read, play)


def _sets_of_call(ask: OscCall) -> Sets:
    return cast(Sets, ask.server.joined[NAME])


@osc("/set/load", OWNER)
def load(ask: OscCall, name: Word) -> None:
    """Loads a set list, patches in their order, and the first patch of it. Answers `/done`."""
    sets, loaded = _sets_of_call(ask), set_list.load(name)

    def begin(read: ReadSet) -> None:
        if remark := sets.begin(read, ask.peer, "/set/load"):
            ask.reply("/remark", "/set/load", remark)

    ask.read("/set/load", patches.size(*loaded.patches), lambda: sets.read(loaded), begin)


@osc("/set/next", OWNER)
def forward(ask: OscCall) -> None:
    """The next patch of the set. Answers `/done /set/next s:patch`."""
    _sets_of_call(ask).step(1, ask, "/set/next")


@osc("/set/previous", OWNER)
def back(ask: OscCall) -> None:
    """The patch before."""
    _sets_of_call(ask).step(-1, ask, "/set/previous")


@osc("/set/go", OWNER)
def go(ask: OscCall, place: Annotated[int, Meta(ge=1, le=set_list.MAX_PATCHES)]) -> None:
    """A patch of the set by its place, from 1."""
    _sets_of_call(ask).go(place - 1, ask, "/set/go")


@osc("/set/save", OWNER, args="s:name s:patch…")
def save(ask: OscCall, args: Args) -> None:
    """Saves these patches as a set list of yours, with the fade and pedals of the loaded one, which it replaces; an old
    file is kept as `NAME~`. Answers `/done`.
    """
    name = text(args, 0, "name")
    _sets_of_call(ask).save(name, tuple(text(args, at, "patch") for at in range(1, max(2, len(args)))))
    ask.reply("/done", "/set/save", name)


@osc("/set/list", once=True)
def names(ask: OscCall) -> None:
    """Answers `/set/list.reply s:name…`, then, where a set is loaded, `/set/patches.reply s:set i:place s:patch…`: the
    place is from 1, 0 where another patch plays.
    """
    listing(ask, "/set/list.reply", set_list.names())
    found = _sets_of_call(ask).status(ask.server.session.state.shown.path)
    if found is not None:
        place = 0 if found["outside"] else found["place"]
        ask.reply("/set/patches.reply", found["name"], place, *found["patches"])


ADDRESSES = (load, forward, back, go, save, names)


def join(app: ControlApp, settings: ServeSettings, fds: Mapping[str, int]) -> None:
    """Has control keep the position in a set list, which begins with the one of `--set`; as of `Companions.control`."""
    sets = app.joined[NAME] = Sets(app)
    app.directory.add(ADDRESSES)
    app.kept.append(sets.to_json)
    app.restores.append(sets.restore)
    app.plans.moved = sets.report
    app.transports.pedals = sets.pedals
    if settings.set:
        app.opens = lambda: sets.load(settings.set, None, "")
