"""Descriptions of foreign plugins, kept in the cache folder: made where the plugin is loaded, read by all others."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from antiphon.api import AUDIO_OUT, EVENTS_IN, ParamError, Port
from antiphon.api.backends.files import cache_folder, make_folder, write_atomic
from antiphon.api.backends.runtime import start_helper
from antiphon_host.card import VERSION, PluginCard
from antiphon_host.folders import allowed

KINDS = ("lv2", "clap", "vst3")
SECONDS = 8.0
"""Longest wait for the description of a plugin that is named for the first time; control waits meanwhile."""


def card_of(address: str) -> PluginCard:
    """The description of a plugin, made now where none is kept.

    Raises ParamError: there is no such plugin on this machine, or it cannot be hosted.
    """
    kind, _, rest = address.partition(":")
    if kind not in KINDS or not rest or len(address) > 1000:
        raise ParamError(f"uri takes lv2:URI, clap:ID or vst3:PATH, not {address[:200]!r}; `antiphon plugins --scan`")
    try:
        known = f"vst3:{allowed('vst3', rest)}" if kind == "vst3" else address  # also one whose description is kept
    except ParamError as error:
        raise ParamError(f"uri: {address[:200]} {error}") from None
    missing = PluginCard(
        address, problem=f"is no {kind.upper()} plugin of this machine; `antiphon plugins --scan` lists"
    )
    card = kept(known) or next(_described(known), missing)
    if card.problem:
        raise ParamError(f"uri: {card.name or address[:200]} {card.problem}")
    return card


def kept(address: str) -> PluginCard | None:
    """The description that is kept, while the plugin's library is the same; else None."""
    try:
        data = json.loads(_place(address).read_bytes())
        if data["version"] != VERSION or data["stamp"] != _stamp(data["card"]["library"]):
            return None
        return PluginCard.of(data["card"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _place(address: str) -> Path:
    return cache_folder() / "hosted" / f"{hashlib.sha256(address.encode()).hexdigest()[:32]}.json"


def _stamp(library: str) -> list[int]:
    with contextlib.suppress(OSError):
        stat = Path(library).stat()
        return [stat.st_mtime_ns, stat.st_size]
    return []


def _described(*words: str, seconds: float | None = SECONDS) -> Iterator[PluginCard]:
    """Descriptions as a process of its own gives them; each is kept."""
    child = start_helper("antiphon_host.describe", *words, stdout=subprocess.PIPE, start_new_session=True)
    try:
        if seconds is not None:
            output, _ = child.communicate(timeout=seconds)
            lines: Any = output.splitlines()
        else:
            lines = child.stdout
        for line in lines:
            card = PluginCard.of(json.loads(line))
            _keep(card)
            yield card
    except subprocess.TimeoutExpired:
        yield PluginCard(words[0], problem=f"was not described within {seconds:g} s")
    finally:
        child.kill()
        child.wait()
        if child.stdout is not None:
            child.stdout.close()


def _keep(card: PluginCard) -> None:
    place = _place(card.address)
    make_folder(place.parent)
    data = {"version": VERSION, "stamp": _stamp(card.library), "card": card.to_json()}
    text = json.dumps(data).encode()
    with contextlib.suppress(OSError):
        if place.read_bytes() == text:
            return
    write_atomic(place, text)


def declared(info: Any, address: str) -> Any:
    """The declaration of the node `plugin` for a `uri`: `Processor.variants` names this function.

    Raises ParamError: as `card_of`.
    """
    card = card_of(address)
    inputs, outputs = ports(card)
    params = (*info.params, *(control.param() for control in card.controls))
    use = replace(info.on_files, tail=True) if card.notes and not card.ins else info.on_files
    doc = f"{card.name}{f' by {card.maker}' if card.maker else ''}."
    return replace(info, doc=doc, inputs=inputs, outputs=outputs, params=params, on_files=use)


def ports(card: PluginCard) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """Ports of a node. A plugin of one channel in and out is played once for each channel of the stream."""
    mono = is_mono(card)
    inputs = [Port("in", "audio", None if mono else card.ins)] if card.ins else []
    inputs += [Port("side", "audio", card.side)] if card.side else []
    inputs += [EVENTS_IN] if card.notes else []
    return tuple(inputs), (AUDIO_OUT if mono else Port("out", "audio", card.outs),)


def is_mono(card: PluginCard) -> bool:
    """True for a plugin that is played once for each channel."""
    return card.ins == card.outs == 1 and not card.side and not card.notes


def scan() -> ScanService:
    """The service `scan`."""
    return ScanService()


class ScanService:
    """What `antiphon plugins --scan` asks."""

    def lines(self, kinds: Sequence[str] = KINDS) -> Iterator[str]:
        """A line for each plugin, address first; those that cannot be hosted with the reason."""
        for card in _described(*(f"{kind}:" for kind in kinds), seconds=None):
            shape = f"{card.ins} in, {card.outs} out{', notes' if card.notes else ''}, {len(card.controls)} parameters"
            yield f"{card.address}  {card.name}  {f'not hosted: {card.problem}' if card.problem else shape}"
