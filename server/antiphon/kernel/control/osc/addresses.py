"""Table of all fixed OSC addresses, the source of dispatch, `docs/osc.md` and the tests."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from antiphon.kernel.control.osc.arguments import Args, Handler, check_count, is_press
from antiphon.kernel.control.osc.handlers import graph, learn, live, server, sets, time
from antiphon.kernel.control.osc.served import OscServer
from antiphon.kernel.graph.clock import MAX_BAR, MAX_SWING, MAX_TEMPO, MIN_TEMPO
from antiphon.kernel.io.osc_peer import Level, Peer
from antiphon.kernel.session.commands import NudgeBeat, When
from antiphon.kernel.session.transport import BUTTONS

OWNER, SURFACE = Level.OWNER, Level.SURFACE


AddressHandler = Callable[[OscServer, Peer, Args, When], None]
"""A handler with the server as its first argument; bound to a server it is a `route.Handler`."""


@dataclass(frozen=True, slots=True)
class Address:
    """A fixed OSC address."""

    path: str
    args: str  # its arguments in the reference's notation, for example "s:name [f:fade]"
    doc: str
    handler: AddressHandler
    level: Level = SURFACE
    timed: bool = False  # whether it takes effect at the exact sample of a bundle's time tag
    at_once: bool = False  # whether it only asks for the present state; it is then refused with a time in the future

    @property
    def usage(self) -> str:
        """Usage line of an address: `/node/add TYPE NAME [AFTER]`."""
        return f"{self.path} {_TYPED.sub(lambda found: found[1].upper(), self.args)}"

    def bound(self, server: OscServer) -> Handler:
        """Handler on a server, which rejects more arguments than the address has.

        An address without arguments, unless a query, is a button's: it may have a value, and 0 is the release.
        """
        button = not self.args and not self.at_once
        count = 1 if button else len(self.args.split())

        def handle(peer: Peer, args: Args, when: When) -> None:
            if "…" not in self.args:
                check_count(args, count, self.args)
            if not button or is_press(args):
                self.handler(server, peer, args, when)

        return handle


_TYPED = re.compile(r"\b[a-z]:(\w+)")
ADDRESSES = (
    Address("/status", "", "Answers `/status.reply`.", server.status, at_once=True),
    Address("/status.ext", "", "Answers `/status.ext.reply`: no doubles, for Pure Data.", server.status_ext,
            at_once=True),
    Address("/version", "", "Answers `/version.reply`: s:antiphon i:major i:minor s:patch s: s:.",
            server.version, at_once=True),
    Address("/ping", "x…", "Answers `/pong x… d:clock`: the same arguments, then the engine's time in seconds.",
            server.ping, at_once=True),
    Address("/notify", "i:on [i:port]", "1 subscribes the sender, or that port (not 0) of its machine; 0 ends it. "
            "Answers `/done /notify i:id`.", server.notify, at_once=True),
    Address("/sync", "i:id", "Answers `/synced i:id` when all received before it and due has taken effect and is "
            "answered; in a bundle, at its time.", server.sync, timed=True),
    Address("/audio/device", "[s:device] [i:rate] [i:block]", "Changes the sound device while it plays: `headless`, "
            "`jack`, `jack:SERVER`, `portaudio`, or the number or a part of the name of one that `antiphon devices` "
            "lists, at a rate and a block of its own (0: the server's). The patch goes on, after one fade. Answers "
            "`/done /audio/device s:device i:rate i:block` then, or `/fail`, after which the one before plays on; "
            "without arguments `/audio/device s:device i:rate i:block`.", server.audio_device, OWNER),
    Address("/panic", "", "Silence within one block, whatever it comes by (docs/kernel.md): what sounds is cut, what "
            "is scheduled is dropped.",
            server.panic),
    Address("/clearSched", "", "Drops what is scheduled.", server.clear_schedule),
    Address("/monitor", "i:on", "1 sends the sender a copy of every packet that arrives as `/packet s:from b:packet`, "
            "500 a second at most; those of addresses without approval as `/packet/held`, 50 a second at most.",
            server.monitor, OWNER, at_once=True),
    Address("/note/watch", "i:on", "1 sends the sender, who is subscribed, every note that anybody plays or schedules "
            "as `/note/event d:beat i:note i:velocity i:channel s:node`: the beat it falls on, velocity 0 for its end.",
            server.note_watch, OWNER, at_once=True),
    Address("/patch/load", "s:name [f:fade]", "Loads a patch by name, faded over seconds. Answers `/done` or `/fail`.",
            graph.patch_load, OWNER),
    Address("/patch/reload", "[f:fade]", "Loads the present patch again from its file. Answers `/done` or `/fail`.",
            graph.patch_reload, OWNER),
    Address("/patch/save", "s:name [i:replace]", "Saves nodes, wires and values as a patch of yours. Over one of yours "
            "that is not the one that plays only with 1; the old file is renamed to `NAME~`, which can be loaded. A "
            "file outside the library is refused. Answers `/done` or `/fail`.", graph.patch_save, OWNER),
    Address("/patch/undo", "", "Undoes the last edit: of a value, nodes, wires or clips, the recall of a scene, or the "
            "load of a patch; 64 can be undone while the server runs. Moves of one parameter less than a second apart "
            "are one edit; what a script or a clip sets at a beat is none. Answers `/done /patch/undo s:what`: the "
            "address of the edit that was undone, or the patch's name where its file had been saved.",
            graph.patch_undo, OWNER),
    Address("/patch/redo", "", "Repeats the edit that was undone last.", graph.patch_redo, OWNER),
    Address("/patch/list", "", "Answers `/patch/list.reply s:name…`.", graph.patch_list, at_once=True),
    Address("/patch/hint", "", "What to do first with the present patch. Answers `/patch/hint.reply s:patch s:hint`.",
            graph.patch_hint, at_once=True),
    Address("/node/list", "", "Answers `/node/list.reply`, name and type of each node.", graph.node_list,
            at_once=True),
    Address("/plugin/list", "", "Answers `/plugin/list.reply`, type and doc of each processor.",
            graph.plugin_list, at_once=True),
    Address("/node/add", "s:type s:name [s:after]", "Adds a node. Behind `after` (a node, or `in`) it takes over the "
            "outgoing audio wires of that, or joins them if it has no audio input; without `after` it has no wires.",
            graph.node_add, OWNER),
    Address("/node/remove", "s:name", "Removes a node; its audio inputs are wired to where its outputs went.",
            graph.node_remove, OWNER),
    Address("/node/move", "s:name [s:after]", "Moves a node behind another; without `after`, behind `in`.",
            graph.node_move, OWNER),
    Address("/node/connect", "s:from.port s:to.port", "Adds a wire; a plain name means its first port.",
            graph.node_connect, OWNER),
    Address("/node/disconnect", "s:from.port s:to.port", "Removes a wire.", graph.node_disconnect, OWNER),
    Address("/note/on", "i:note i:velocity [i:channel] [s:node]", "Begins a note, 0 to 127 or a name as c4; "
            "velocity 1 to 127, 0 ends it; channel 1 to 16, by default 1.", sets.handler("/note/on"), timed=True),
    Address("/note/off", "i:note [i:velocity] [i:channel] [s:node]", "Ends a note; the velocity is ignored.",
            sets.handler("/note/off"), timed=True),
    Address("/cc", "i:number f:value [i:channel] [s:node]", "Sets controller 0 to 127 (64 is the sustain pedal) to a "
            "value from 0 to 1; a whole number from 2 to 127 is divided by 127, so 1 is the full value.",
            sets.handler("/cc"), timed=True),
    Address("/bend", "f:value [i:channel] [s:node]", "Moves the pitch wheel, -1 to 1.",
            sets.handler("/bend"), timed=True),
    Address("/note/pitch", "i:note f:semitones [i:channel] [s:node]", "Moves the pitch of one note, -96 to 96 "
            "semitones from its own: of the note that sounds, or else of the next with this number and channel.",
            sets.handler("/note/pitch"), timed=True),
    Address("/note/pressure", "i:note f:value [i:channel] [s:node]", "How hard the key of one note is pressed, 0 to 1 "
            "as for `/cc`.", sets.handler("/note/pressure"), timed=True),
    Address("/note/timbre", "i:note f:value [i:channel] [s:node]", "How bright one note is, 0 to 1 as for `/cc`; 0.5 "
            "is the instrument's own.", sets.handler("/note/timbre"), timed=True),
    Address("/program", "i:number [i:channel] [s:node]", "Chooses the instrument of a channel, 0 to 127, of nodes "
            "that play by programs, as `soundfont`.", sets.handler("/program"), timed=True),
    Address("/learn", "s:address [x:cue] [s:node]", "The next MIDI controller that moves is mapped to "
            "`/node/NAME/PARAM`, over its whole range, or by steps where it is endless (told by its values, or by "
            "`relative`, `twos`, `offset` or `sign` behind it), or to one of " + ", ".join(f"`{a}`" for a in BUTTONS)
            + " as a button, to which a note can be mapped too, as to `/cue` with a cue's name and to `/capture` with "
            "bars and a node; the mapping is saved. Answers `/done /learn s:address s:control` then.", learn.learn,
            OWNER),
    Address("/unlearn", "s:address [x:cue] [s:node]", "Removes the address's mapping to a controller, or cancels its "
            "`/learn`.", learn.unlearn, OWNER),
    Address("/learn/list", "", "Answers `/learn/list.reply`, address, controller and MIDI port of each mapping; the "
            "port is empty for one of the patch or the set list.", learn.assignments, OWNER, at_once=True),
    Address("/tempo", "[f:bpm] [f:beats]", f"Sets the tempo, {MIN_TEMPO:g} to {MAX_TEMPO:g} bpm, over `beats` beats; "
            "without arguments answers `/tempo f:bpm`, on the way that of now. A node that leads the clock takes it "
            "back, which `/remark` says.", time.tempo, timed=True),
    Address("/swing", "[f:amount] [f:step]", f"Swing: delays every second step of events given in beats by `amount` "
            f"of a step, 0 to {MAX_SWING:g} (0: even, 0.333: triplets). A step has `step` beats, 0.5 by default. "
            "`/beat` stays even. Without arguments answers `/swing f:amount f:step`.",
            time.swing, timed=True),
    Address("/bar/beats", "[i:beats]", f"Sets the beats of a bar for `/bar`, 1 to {MAX_BAR}; bars begin at whole "
            "multiples. Without arguments answers `/bar/beats i:beats`.", time.bar_beats),
    Address("/transport/play", "[f:beat]", "Starts the beat, from one if given.", time.play, timed=True),
    Address("/transport/stop", "", "Stops the beat.", time.stop, timed=True),
    Address("/beat", "[f:beat]", "Goes to a beat; without arguments answers `/beat f:beat`.", time.beat,
            timed=True),
    Address("/beat/nudge", "f:beats", "Adds -16 to 16 beats to the beat as it is at that time, to get into step with "
            "other players.", time.plain(NudgeBeat), timed=True),
    Address("/scene/store", "i:number", "Stores all values as scene 0 to 127. Answers `/done`.", sets.store),
    Address("/scene/recall", "i:number [f:beats] [f:quantum]", "Sets all values to those of a scene, numbers by ramps "
            "of `beats` beats; with a quantum, at its next multiple. If one value is refused, none changes and "
            "`/fail` is answered.", sets.recall, timed=True),
    Address("/set/load", "s:name", "Loads a set list, patches in their order, and the first patch of it. Answers "
            "`/done` or `/fail`.", sets.load, OWNER),
    Address("/set/next", "", "The next patch of the set. Answers `/done /set/next s:patch` or `/fail`.",
            sets.forward, OWNER),
    Address("/set/previous", "", "The patch before.", sets.back, OWNER),
    Address("/set/go", "i:place", "A patch of the set by its place, from 1.", sets.go, OWNER),
    Address("/set/save", "s:name s:patch…", "Saves these patches, in this order, as a set list of yours, with the fade "
            "and the pedals of the loaded set list, which it replaces. What plays goes on; an old file is "
            "renamed to `NAME~`. Answers `/done` or `/fail`.", sets.save, OWNER),
    Address("/set/list", "", "Answers `/set/list.reply s:name…`, then, where a set is loaded, `/set/patches.reply "
            "s:set i:place s:patch…`: its patches, and the place from 1 of the one that plays, 0 where another patch "
            "does.", sets.names, at_once=True),
    Address("/session/record", "[s:name]", "Records input, output and log of the performance; refused while one "
            "is recorded. Answers `/done /session/record s:path`.", time.session_record,
            OWNER),
    Address("/session/stop", "", "Ends that recording.", time.session_stop, OWNER),
    Address("/record/start", "[s:name]", "Records the output to a .wav, or a .flac, .ogg or .mp3 that is "
            "named. Answers `/done /record/start s:path`.", time.record_start, OWNER),
    Address("/record/stop", "", "Ends recording the output. Answers `/done /record/stop`.", time.record_stop, OWNER),
    Address("/record/tracks/start", "[s:folder]", "Records each strip, the input and the output to a file of its own; "
            "refused while tracks are recorded. Answers `/done /record/tracks/start s:path`.", time.tracks_start,
            OWNER),
    Address("/record/tracks/stop", "", "Ends the tracks. Answers `/done /record/tracks/stop`.", time.tracks_stop,
            OWNER),
    Address("/capture", "i:bars [s:node] [s:name]", "Writes the last whole bars of a node, else of the output, into "
            "the folder `captures` of the library. Answers `/capture.reply s:path`.", time.capture, OWNER),
    Address("/at", "d:beat s:address x…", "The message with that address and the arguments after it takes effect at "
            "the sample of a beat, wherever the tempo puts it until then: values, triggers, notes, resets, the tempo, "
            "the transport.", live.at),
    Address("/cue", "s:name [x:value]", "Wakes the loops of live scripts that wait for this name: subscribers are "
            "sent the message.", live.cue),
    Address("/live/eval", "s:token s:script", "With `serve --live`: hands a live script to `antiphon live`, as if "
            "it was saved so. Only programs of this machine may send it, with the owner's token, or after `/live/join` "
            "with a proof of it. Answers `/done`, after a proof with the number of programs that get it.",
            live.evaluate, OWNER),
    Address("/live/join", "s:nonce", "With `serve --live`, over TCP: answers `/live/challenge s:nonce s:proof`, by "
            "which a program of the owner knows its server. How proofs are made: docs/live-coding.md.",
            live.join, OWNER),
    Address("/live/perform", "s:proof", "After `/live/join`, of a program that proves the token: it is sent "
            "`/live/eval s:script i:number s:proof` from now on. Answers `/done`.", live.perform, OWNER),
    Address("/live/plays", "[s:set] [s:tracks] [s:printed]", "After `/live/perform`: the set that a program "
            "performs, its tracks and printed lines, for `/api/status`; nothing without arguments.", live.plays, OWNER),
)  # fmt: skip
