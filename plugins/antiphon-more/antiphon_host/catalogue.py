"""Cache of third-party plugin descriptions, made by a process that loads the plugin; finds the folders of plugins.

CLAP and VST3 plugins are loaded from these folders only.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from threading import Thread
from typing import Any

from antiphon.api import AUDIO_OUT, EVENTS_IN, AntiphonError, ParamError, Port
from antiphon.api.backends.files import cache_folder, write_atomic
from antiphon.api.backends.runtime import CHILD_FAULTS, spawn
from antiphon_host.card import VERSION, PluginCard

_VARIABLES = {"clap": "CLAP_PATH", "vst3": "VST3_PATH"}


def folders(kind: str) -> list[Path]:
    """Folders of a kind, "clap" or "vst3": the user's, the system's, and those of CLAP_PATH or VST3_PATH."""
    home, name = Path.home(), kind.upper()
    if sys.platform == "darwin":
        found = [root / "Library/Audio/Plug-Ins" / name for root in (home, Path("/"))]
    elif sys.platform == "win32":
        common = os.environ.get("COMMONPROGRAMFILES", r"C:\Program Files\Common Files")
        local = os.environ.get("LOCALAPPDATA", str(home))
        found = [Path(common) / name, Path(local) / "Programs/Common" / name]
    else:
        found = [home / f".{kind}", Path("/usr/local/lib") / kind, Path("/usr/lib") / kind]
    more = os.environ.get(_VARIABLES[kind], "").split(os.pathsep)
    return [*(Path(folder) for folder in more if os.path.isabs(folder)), *found]


def libraries(kind: str) -> Iterator[Path]:
    """The plugins in the folders of a kind, by path."""
    seen: set[Path] = set()
    for folder in folders(kind):
        for path in sorted(folder.glob(f"**/*.{kind}")):
            inside_other = any(parent.suffix == f".{kind}" for parent in path.parents)
            if path.resolve() not in seen and not inside_other:
                seen.add(path.resolve())
                yield path


def check_path(kind: str, text: str) -> Path:
    """Finds a plugin by its path or name; returns its path. Raises ParamError: it is not in the folders of its kind."""
    for path in libraries(kind):
        if text in (str(path), path.name, path.stem):
            return path
    where = ", ".join(str(folder) for folder in folders(kind))
    raise ParamError(f"is in none of the folders of {kind.upper()} plugins ({where})")


DESCRIBE = "antiphon_host.describe:main"
KINDS = ("lv2", "clap", "vst3")
LOOP_SECONDS = 4.0
"""Maximum seconds an event loop waits for a series of consecutive descriptions."""
TRIED_SECONDS = 60.0
"""Retry interval in seconds after a failed description."""
MAX_KEPT = 32
"""Latencies that are kept on the disk for a plugin."""
_tried: dict[str, tuple[float, PluginCard]] = {}
_looking: dict[str, Thread] = {}
_debt_ends = 0.0  # when an event loop may wait for LOOP_SECONDS again


def card_of(address: str, *, changed: bool = False) -> PluginCard:
    """Description of a plugin, created now if not cached.

    `changed`: if it can no longer be described, return the previous description.

    Raises ParamError: there is no such plugin on this machine, or it cannot be hosted.
    """
    kind, _, rest = address.partition(":")
    if kind not in KINDS or not rest or len(address) > 1000 or not address.isprintable():
        raise ParamError(f"uri takes lv2:URI, clap:ID or vst3:PATH, not {address[:200]!r}; `antiphon plugins --scan`")
    known = address
    try:
        known = f"vst3:{check_path('vst3', rest)}" if kind == "vst3" else address  # also one whose description is kept
        card = cached_card(known) or _made(known)
    except ParamError as error:
        card = PluginCard(address, problem=str(error))
    if card.problem and changed:
        before = cached_card(known, changed=True)
        card = before if before is not None else card
    if card.problem:
        raise ParamError(f"uri: {card.name or address[:200]} {card.problem}")
    return card


def cached_card(address: str, *, changed: bool = False) -> PluginCard | None:
    """Cached description, if the plugin's library is the same or may be `changed`; else None."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError), _place(address).open("rb") as file:
        data = json.loads(file.read())
        is_own = os.fstat(file.fileno()).st_uid == getattr(os, "getuid", int)()  # it names code that is loaded
        if is_own and data["version"] == VERSION and (changed or data["stamp"] == _stamp(data["card"]["library"])):
            return PluginCard.of(data["card"])
    until, refused = _tried.get(address, (0.0, None))
    return refused if time.monotonic() < until else None


def _made(address: str) -> PluginCard:
    """Describes a plugin in a thread; an event loop waits for it only up to its own limit."""
    global _debt_ends
    thread = _looking.get(address)
    if thread is None or not thread.is_alive():
        thread = _looking[address] = Thread(target=_look, args=(address,), daemon=True)
        thread.start()
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        thread.join()
    else:
        begun = time.monotonic()
        _debt_ends = max(_debt_ends, begun)
        thread.join(max(0.0, LOOP_SECONDS - (_debt_ends - begun)))
        _debt_ends += 2.0 * (time.monotonic() - begun)  # once for the time that has gone by in this wait
    if thread.is_alive():
        raise ParamError("is still being described; give it again in a few seconds")
    _looking.pop(address, None)
    return cached_card(address) or PluginCard(address, problem="could not be described")


def _look(address: str) -> None:
    kind = address.partition(":")[0].upper()
    missing = PluginCard(address, problem=f"is no {kind} plugin of this machine; `antiphon plugins --scan` lists")
    _keep(next(_described(address), missing))


@lru_cache(256)
def query_plugin_latency(
    address: str, usual: int, rate: int, hop: int, values: tuple[tuple[int | str, float], ...]
) -> int:
    """Latency in frames that a plugin reports at a rate and hop size, with values by key, otherwise its first ones.

    `usual`: latency at 48 kHz with its first values, converted and used if its process does not answer. The last
    answers are kept on the disk: a new engine, whose sound waits, asks no process again.
    """
    asked = json.dumps([address, rate, hop, values])
    card, place, kept = cached_card(address), _place(f"latency of {address}"), dict[str, int]()
    stamp = _stamp(card.library) if card is not None else []
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        data = json.loads(place.read_bytes())
        kept = data["kept"] if stamp and data["stamp"] == stamp else kept
        return int(kept[asked])
    answer = None
    with spawn(DESCRIBE, f"latency:{asked}") as child, contextlib.suppress(*CHILD_FAULTS):
        answer = child.receive()[0]["latency"]
    if answer is None:
        return round(usual * rate / 48000)
    kept = dict([*kept.items(), (asked, int(answer))][-MAX_KEPT:])
    with contextlib.suppress(OSError, AntiphonError):
        write_atomic(place, json.dumps({"stamp": stamp, "kept": kept}).encode())
    return int(answer)


def _place(address: str) -> Path:
    return cache_folder() / "hosted" / f"{hashlib.sha256(address.encode()).hexdigest()[:32]}.json"


def _stamp(library: str) -> list[int]:
    with contextlib.suppress(OSError):
        stat = Path(library).stat()
        return [stat.st_mtime_ns, stat.st_size] if library else []
    return []


def _described(*words: str) -> Iterator[PluginCard]:
    """Yields descriptions from a separate process, which limits the time of each; each one is cached."""
    with spawn(DESCRIBE, *words) as child, contextlib.suppress(EOFError):
        while True:
            card = PluginCard.of(child.receive()[0])
            _keep(card)
            yield card


def _keep(card: PluginCard) -> None:
    now = time.monotonic()
    for address in [address for address, (until, _) in _tried.items() if until < now]:
        _tried.pop(address, None)
    if not card.library:  # nothing on disk would tell that it is there now
        _tried[card.address] = now + TRIED_SECONDS, card
        return
    place = _place(card.address)
    data = {"version": VERSION, "stamp": _stamp(card.library), "card": card.to_json()}
    text = json.dumps(data).encode()
    try:
        if not place.exists() or place.read_bytes() != text:
            write_atomic(place, text)
    except (OSError, AntiphonError):  # this process keeps it where the folder cannot be written
        _tried[card.address] = now + TRIED_SECONDS, card


def declare_node(info: Any, address: str) -> Any:
    """Declares the node `plugin` for a `uri`: `Processor.variants` names this function.

    Raises ParamError: as in `card_of`.
    """
    card = card_of(address, changed=True)
    inputs, outputs = ports(card)
    params = (*info.params, *(control.param() for control in card.controls))
    use = replace(info.on_files, tail=True) if card.notes and not card.ins else info.on_files
    doc = f"{card.name}{f' by {card.maker}' if card.maker else ''}."
    return replace(info, doc=doc, inputs=inputs, outputs=outputs, params=params, on_files=use)


def ports(card: PluginCard) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """Ports of a node. A plugin with one channel in and out runs once for each channel of the stream."""
    mono = is_mono(card)
    inputs = [Port("in", "audio", None if mono else card.ins)] if card.ins else []
    inputs += [Port("side", "audio", card.side)] if card.side else []
    inputs += [EVENTS_IN] if card.notes else []
    return tuple(inputs), (AUDIO_OUT if mono else Port("out", "audio", card.outs),)


def is_mono(card: PluginCard) -> bool:
    """True for a plugin that runs once for each channel."""
    return card.ins == card.outs == 1 and not card.side and not card.notes


def scan() -> ScanService:
    """Returns the service `scan`."""
    return ScanService()


class ScanService:
    """Service of `antiphon plugins --scan`."""

    def lines(self, kinds: Sequence[str] = KINDS) -> Iterator[str]:
        """Yields a line for each plugin, address first; plugins that cannot be hosted have the reason."""
        for card in _described(*(f"{kind}:" for kind in kinds)):
            shape = f"{card.ins} in, {card.outs} out{', notes' if card.notes else ''}, {len(card.controls)} parameters"
            yield f"{card.address}  {card.name}  {f'not hosted: {card.problem}' if card.problem else shape}"
