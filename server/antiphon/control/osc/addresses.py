"""The table of all fixed OSC addresses, from which dispatch, `docs/osc.md` and the tests are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from antiphon.control.osc import (
    handle_graph,
    handle_learn,
    handle_notes,
    handle_scenes,
    handle_server,
    handle_sets,
    handle_time,
)
from antiphon.control.osc.arguments import Args
from antiphon.graph.clock import MAX_TEMPO, MIN_TEMPO
from antiphon.io.osc_peer import Level, Peer
from antiphon.session.commands import NudgeBeat, When
from antiphon.session.transport import PRESSABLE

OWNER, SURFACE = Level.OWNER, Level.SURFACE


class OscServer(
    handle_graph.GraphServer, handle_learn.LearnServer, handle_notes.NoteServer, handle_scenes.SceneServer,
    handle_server.StatusServer, handle_sets.SetServer, handle_time.TimeServer, Protocol,
):  # fmt: skip
    """The parts of the server that all handlers together use."""


AddressHandler = Callable[[OscServer, Peer, Args, When], None]
"""A handler with the server as its first argument; bound to a server it is a `route.Handler`."""


@dataclass(frozen=True, slots=True)
class Address:
    """One fixed address.

    Attributes:
        path: The address.
        args: Its arguments in the reference's notation, for example "s:name [f:fade]".
        doc: Its entry in the reference.
        handler: Handles a message to it.
        level: Who may send to it.
        timed: Whether it takes effect at the exact sample of a bundle's time tag.
        at_once: Whether it only asks for the present state; it is then refused with a time in the future.
    """

    path: str
    args: str
    doc: str
    handler: AddressHandler
    level: Level = SURFACE
    timed: bool = False
    at_once: bool = False


ADDRESSES = (
    Address("/status", "", "Answers `/status.reply`.", handle_server.status, at_once=True),
    Address("/status.ext", "", "Answers `/status.ext.reply`: no doubles, for Pure Data.", handle_server.status_ext,
            at_once=True),
    Address("/version", "", "Answers `/version.reply`: s:antiphon i:major i:minor s:patch s: s:.",
            handle_server.version, at_once=True),
    Address("/ping", "x…", "Answers `/pong x… d:clock`: the same arguments, then the engine's time in seconds.",
            handle_server.ping, at_once=True),
    Address("/notify", "i:on [i:port]", "1 subscribes the sender, or that port (not 0) of its machine; 0 ends it. "
            "Answers `/done /notify i:id`.", handle_server.notify, at_once=True),
    Address("/sync", "i:id", "Answers `/synced i:id` when all received before it and due has taken effect; in a "
            "bundle, at its time.", handle_server.sync, timed=True),
    Address("/panic", "", "Silence within one block: what sounds is cut, what is scheduled is dropped.",
            handle_server.panic),
    Address("/clearSched", "", "Drops what is scheduled.", handle_server.clear_schedule),
    Address("/monitor", "i:on", "1 sends the sender a copy of every packet that arrives as `/packet s:from b:packet`, "
            "500 a second at most; those of addresses without approval as `/packet/held`, 50 a second at most.",
            handle_server.monitor, OWNER, at_once=True),
    Address("/patch/load", "s:name [f:fade]", "Loads a patch by name, faded over seconds. Answers `/done` or `/fail`.",
            handle_graph.patch_load, OWNER),
    Address("/patch/reload", "[f:fade]", "Loads the present patch again from its file. Answers `/done` or `/fail`.",
            handle_graph.patch_reload, OWNER),
    Address("/patch/save", "s:name [i:replace]", "Saves nodes, wires and values as a patch of yours. Over one of yours "
            "that is not the one that plays only with 1; the old file is renamed to `NAME~`, which can be loaded. A "
            "file outside the library is refused. Answers `/done` or `/fail`.", handle_graph.patch_save, OWNER),
    Address("/patch/undo", "", "Undoes the last edit of nodes or wires, or the last load of a patch; 64 can be undone "
            "while the server runs. Answers `/done /patch/undo s:what`: the address of the edit that was undone, or "
            "the patch's name where its file had been saved.", handle_graph.patch_undo, OWNER),
    Address("/patch/redo", "", "Repeats the edit that was undone last.", handle_graph.patch_redo, OWNER),
    Address("/patch/list", "", "Answers `/patch/list.reply s:name…`.", handle_graph.patch_list, at_once=True),
    Address("/node/list", "", "Answers `/node/list.reply`, name and type of each node.", handle_graph.node_list,
            at_once=True),
    Address("/plugin/list", "", "Answers `/plugin/list.reply`, type and doc of each processor.",
            handle_graph.plugin_list, at_once=True),
    Address("/node/add", "s:type s:name [s:after]", "Adds a node. Behind `after` (a node, or `in`) it takes over the "
            "outgoing audio wires of that; without `after` it has no wires.", handle_graph.node_add, OWNER),
    Address("/node/remove", "s:name", "Removes a node; its audio inputs are wired to where its outputs went.",
            handle_graph.node_remove, OWNER),
    Address("/node/move", "s:name [s:after]", "Moves a node behind another; without `after`, behind `in`.",
            handle_graph.node_move, OWNER),
    Address("/node/connect", "s:from.port s:to.port", "Adds a wire; a plain name means its first port.",
            handle_graph.node_connect, OWNER),
    Address("/node/disconnect", "s:from.port s:to.port", "Removes a wire.", handle_graph.node_disconnect, OWNER),
    Address("/note/on", "i:note i:velocity [i:channel] [s:node]", "Begins a note, 0 to 127; velocity 1 to 127, 0 ends "
            "it; channel 1 to 16, by default 1.", handle_notes.note_on, timed=True),
    Address("/note/off", "i:note [i:velocity] [i:channel] [s:node]", "Ends a note; the velocity is ignored.",
            handle_notes.note_off, timed=True),
    Address("/cc", "i:number f:value [i:channel] [s:node]", "Sets controller 0 to 127 (64 is the sustain pedal) to a "
            "value from 0 to 1; a whole number from 2 to 127 is divided by 127, so 1 is the full value.",
            handle_notes.control, timed=True),
    Address("/bend", "f:value [i:channel] [s:node]", "Moves the pitch wheel, -1 to 1.", handle_notes.bend, timed=True),
    Address("/learn", "s:address", "The next MIDI controller that moves is mapped to `/node/NAME/PARAM`, over its "
            "whole range, or to one of " + ", ".join(f"`{a}`" for a in PRESSABLE) + " as a button; the mapping is "
            "saved. Answers `/done /learn s:address s:control` then.", handle_learn.learn, OWNER),
    Address("/unlearn", "s:address", "Removes the address's mapping to a controller, or cancels its `/learn`.",
            handle_learn.unlearn, OWNER),
    Address("/tempo", "[f:bpm] [f:beats]", f"Sets the tempo, {MIN_TEMPO:g} to {MAX_TEMPO:g} bpm, over so many beats; "
            "without arguments answers `/tempo f:bpm`.", handle_time.tempo, timed=True),
    Address("/transport/play", "[f:beat]", "Starts the beat, from one if given.", handle_time.play, timed=True),
    Address("/transport/stop", "", "Stops the beat.", handle_time.stop, timed=True),
    Address("/beat", "[f:beat]", "Goes to a beat; without arguments answers `/beat f:beat`.", handle_time.beat,
            timed=True),
    Address("/beat/nudge", "f:beats", "Adds -16 to 16 beats to the beat as it is at that time, to get into step with "
            "other players.", handle_time.plain(NudgeBeat), timed=True),
    Address("/scene/store", "i:number", "Stores all values as scene 0 to 127. Answers `/done`.", handle_scenes.store),
    Address("/scene/recall", "i:number [f:beats] [f:quantum]", "Sets all values to a scene's, numbers by ramps of so "
            "many beats; with a quantum, at its next multiple. Where one value is refused, `/fail` is answered and "
            "none changes.", handle_scenes.recall, timed=True),
    Address("/set/load", "s:name", "Loads a set list, patches in their order, and the first patch of it. Answers "
            "`/done` or `/fail`.", handle_sets.load, OWNER),
    Address("/set/next", "", "The next patch of the set. Answers `/done /set/next s:patch` or `/fail`.",
            handle_sets.forward, OWNER),
    Address("/set/previous", "", "The patch before.", handle_sets.back, OWNER),
    Address("/set/go", "i:place", "A patch of the set by its place, from 1.", handle_sets.go, OWNER),
    Address("/set/list", "", "Answers `/set/list.reply s:name…`.", handle_sets.names, at_once=True),
    Address("/session/record", "[s:name]", "Records input, output and log of the performance from here on; refused "
            "while that is recorded already. Answers `/done /session/record s:path`.", handle_time.session_record,
            OWNER),
    Address("/session/stop", "", "Ends that recording.", handle_time.session_stop, OWNER),
    Address("/record/start", "[s:name]", "Records the output to a file. Answers `/done /record/start s:path`.",
            handle_time.record_start, OWNER),
    Address("/record/stop", "", "Ends recording the output.", handle_time.record_stop, OWNER),
)  # fmt: skip
