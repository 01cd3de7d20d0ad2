"""Generates `docs/osc.md` from the declarations: `python tools/osc_reference.py > docs/osc.md`. `make docs` runs it."""

import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from antiphon.joining import learning, monitor, note_watch, patch_lists, set_lists
from antiphon.kernel.contract.addresses import AddressInfo
from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.params import HOST_PARAMS, Param
from antiphon.kernel.control.osc.addresses import ADDRESSES
from antiphon.kernel.control.osc.counters import IN_STATUS
from antiphon.operations.lists import operation_addresses
from antiphon.performer import script_gate

JOINED = (
    patch_lists.patch_list, *set_lists.ADDRESSES, *learning.ADDRESSES, monitor.monitor, note_watch.note_watch,
    note_watch.note_watch_ext,
)  # fmt: skip
ROOT = Path(__file__).parents[1]
HEAD = """\
# OSC

*Made from the declarations in the code: change those, then run `make docs`.*

UDP and TCP, port 4400 of 127.0.0.1 and ::1 (`serve --osc-port`). Over TCP a packet is framed by its length (OSC 1.0)
or by SLIP (OSC 1.1), and answered in the same framing.

A message that succeeds is answered only where an answer is stated; answers go to the address the message came from. A
refused message changes nothing and is answered `/fail s:address s:reason`, at most 50 times a second per sender; one
whose effect differs from the request is answered once by `/remark s:address s:sentence`. Numbers and switches may have
any of the type tags `i f d h T F`; NaN and infinity are refused.

In this page `i f s d b` are type tags, `x` is any of them, `[…]` may be left out, `…` may be repeated.

## Addresses

An address with "(owner)" is refused from another machine (`serve --lan`), even from an
[approved](safety.md#senders-and-approval) one, which neither sets nor reads parameters of kind file. A machine that
was not approved is answered `/fail` once in 10 s.

"""

NODES = """
## Nodes

`NAME` is a node of the patch, `PARAM` one of its parameters. Every patch has `in` and `out`: `/node/in/gain` and
`/node/out/gain` in dB (the level that comes in, the master volume), `/node/out/mute`. They stay when another patch is
loaded, and a pattern does not reach them.

| address | arguments | answer or effect |
|---|---|---|
| `/node/NAME/PARAM` | value `[f:seconds]` | Sets it, in its unit; a float can be ramped over up to 3600 s. |
| `/node/NAME/PARAM` | | Answers the last requested value that has taken effect. A trigger fires. |
| `/node/NAME/PARAM/norm` | `f` 0 to 1 `[f:seconds]` | Sets its place in its range, as a fader does, or answers it. |
| `/macro/NAME` | `f` 0 to 1 `[f:seconds]` | Moves a [macro](formats.md#macros), or answers it. |
| `/node/NAME/reset` | | Clears the node's state, and tries it again after a failure. |
| `/node/NAME/play` | `[s:name value]…` | Plays one note with values, at its time tag: `s bd n 1 speed 1.5`. |

A name of `/node/NAME/play` is one of its parameters that are read where a note begins, `note` (0 to 127) or `velocity`
(as that of `/note/on`, above 0).

`/note/on`, `/note/off`, `/cc` and `/bend` with a node's name are for that node. Without one they are for every node
that takes notes and that no wire feeds with events. If wires feed all nodes that take notes, they are for those that no
other such node feeds; if there are none, for all. The name may follow the velocity or the value directly: `/note/on 60
100 keys`. A note begins at the sample its bundle names; a synth sounds it one block later. A node takes 1024 events in
a block; further ones come with the next block and are counted as late. `/clearSched` drops the scheduled ones, and ends
the notes whose end was among them.

Every node has these parameters:

"""

TAIL = """
## Patterns

`?` is any character, `*` any number of them, `[a-c]` one of a class, `[!a-c]` one not of it, `{in,out}` one of several
words, all within one part of the address: `/node/*/wet 0.5`. A pattern is at most 512 bytes long. It reaches values
alone: parameters, macros (`/macro/*`) and questions without arguments; what acts, such as a trigger, a note or
`/patch/undo`, is sent by its full address.

## Bundles

A time tag of 0 or 1 is now. A later one names the sample at which a value, a trigger, a note, a reset, a change of
tempo or a `/sync` takes effect; other messages are handled at that time to within milliseconds. An earlier one is
applied at once, counted, and reported to subscribers when it is over 10 ms late. Up to 256 messages of a bundle take
effect at one sample, or none does: one whose address, arguments, value or time would be refused refuses the bundle, and
`/fail` names it; what shows only as it is done, such as a missing file, is answered alone. At most 65,536 events wait;
more are refused. Of the other messages 4096 wait, 4 MiB, a quarter of that from one machine; questions (`/status`,
`/version`, `/ping`, `/notify`, `/monitor`, the lists) are refused with a time to come. A tag over an hour ahead is
refused. Bundles nest 16 deep; one inside another is never earlier.

Messages of one sender are handled in order of arrival; senders take turns. Of many values sent to one parameter
within about a millisecond the last is taken.

Text is UTF-8. A message that causes an error in Antiphon itself is answered `/fail`, counted in `faults` and named in
`trouble` of `/api/status`.

## Messages to subscribers

After `/notify 1`, at most 60 times a second and bundled:

- `/node/NAME/PARAM`, value: It changed, not by you; what a node reports, by more than 0.05 %, or a thousandth of a
  range of at most 1.
- `/node/NAME/PARAM/norm f`: As above, once somebody has sent to this address.
- `/macro/NAME f`, `/node/macro/NAME f`, `/tempo f:bpm`: As above.
- `/beat i:beat f:bpm`: A beat began, at that tempo. A jump past several gives the last.
- `/bar i:bar f:bpm`: A bar began; bar 0 is at beat 0, and `/bar/beats` sets its length.
- `/meter s:node f:peak f:rms`: Levels that changed, 30 times a second, until `/meter/watch 0`.
- `/cue s:name [x:value]`: A client sent `/cue`.
- `/panic`, `/clearSched`: The same came from a client, a key or the page.
- `/clip i:blocks`: Blocks of input reached full scale since the last `/clip`; once a second at most.
- `/note/on`, `/note/off`, both `i:note i:velocity i:channel s:node`: A node emitted it.
- `/note/event d:beat i:note i:velocity i:channel s:node`: After `/note/watch 1`: a note that a node is to play.
- `/late s:address f:seconds`: A command came over 10 ms after its time.
- `/refused s:address s:reason s:sender`: A message was refused; to this machine alone, five a second.
- `/node/state s:node s:state s:reason`: A node's state changed, see below.
- `/patch/loaded s:name`, `/patch/failed s:reason`: A plan plays, or was refused.
- `/set/at s:set i:place i:patches s:patch`: Another patch of the set was asked for.
- `/patch/warning s:reason`: It plays, but takes most of the machine (with the numbers), or hides a shipped one.
- `/plugin/loaded s:plugin`, `/plugin/failed s:plugin s:reason`: A saved plugin is used, or is not.
- `/engine/state s:state i:pid`: An engine was started again.
- `/learned s:address s:control s:port`: A MIDI controller was mapped to it, after `/learn`.
- `/unlearned s:address`: No MIDI controller is mapped to it any more.
- `/ping`: Every 30 s, to detect a closed port; need not be answered.

A node is `running`, or passes its input dry, delayed by its latency (a node without an input is silent): `failed` until
`/node/NAME/reset`, for the reason given; `starting` or `restarting` while its [worker](kernel.md#workers) gets ready;
`waiting` while the scsynth joined by `--scsynth` does not answer.

At most 64 can subscribe. A subscription ends with `/notify 0`, with the TCP connection, when a UDP port is found
closed, with the [approval](safety.md#senders-and-approval) of its address, or, on another machine, after 300 s in
which it sent nothing. A surface named by `serve --surface HOST:PORT` stays subscribed.

## /status.reply

`i:1 i:nodes i:nodes i:1 i:types f:load f:peak d:rate d:rate`, as scsynth has it (loads in percent of a block), then,
each an `i`:

"""


COUNTERS = ", ".join(f"`{name}`" for name in IN_STATUS) + ". `/status.ext.reply` has `f` where this has `d`.\n"
PROCESSORS = """
## Processors

`antiphon plugins` describes each type, `antiphon plugins TYPE` lists its ports and parameters with range, unit and
default, as does the card of its plugin:

"""


def markdown(catalog: Catalog) -> str:
    """The whole page; each processor of `catalog` has a link to the card with its parameters."""
    parts = [HEAD, _addresses(catalog), NODES, _params(HOST_PARAMS), TAIL, COUNTERS]
    if catalog.types:
        parts += [PROCESSORS, *_processors(catalog)]
    return "".join(parts)


def _addresses(catalog: Catalog) -> str:
    return "".join(map(_address, (*ADDRESSES, *JOINED, *script_gate.ADDRESSES, *catalog.addresses)))


def _address(item: AddressInfo) -> str:
    owner = "" if item.surfaces else " (owner)"
    return f"- `{f'{item.path} {item.args}'.strip()}`{owner}: {item.doc}\n"


def _params(params: tuple[Param, ...]) -> str:
    rows = ["| parameter | takes | default | |\n|---|---|---|---|\n"]
    for param in params:
        default = "" if param.readonly or param.kind == "trigger" else _default_text(param)
        notes = [param.doc]
        if param.readonly:
            notes.append("Read-only: reported by the node.")
        if param.restart:
            notes.append("A change makes a new plan.")
        takes = param.allowed.replace("|", "\\|")
        rows.append(f"| `{param.name}` | {takes} | {default} | {' '.join(n for n in notes if n)} |\n")
    return "".join(rows)


def _default_text(param: Param) -> str:
    if param.kind == "switch":
        return "on" if param.default else "off"
    return f"{param.default:g}" if isinstance(param.default, float) else str(param.default)


def _processors(catalog: Catalog) -> Iterator[str]:
    """Yields a line for each card, with its types."""
    types = sorted(catalog.types.values(), key=lambda info: (info.plugin, info.type))
    for plugin, group in groupby(types, lambda info: info.plugin):
        named = " ".join(f"`{info.type}`" for info in group)
        card = next(ROOT.glob(f"plugins/*/{plugin}/README.md"), ROOT / "plugins" / plugin / "README.md")
        yield f"- [{plugin.removeprefix('antiphon_')}](../{card.relative_to(ROOT).as_posix()}): {named}\n"


def built_in() -> Catalog:
    """The catalogue of the shipped processors, without third-party plugins."""
    from antiphon.kernel.plugins import loader
    from antiphon.kernel.plugins.finding import BUILT_IN

    catalog = loader.load(check=False).catalog
    every = (*catalog.addresses, *operation_addresses(catalog))
    addresses = tuple(info for info in every if info.plugin in BUILT_IN)
    return Catalog({name: info for name, info in catalog.types.items() if info.plugin in BUILT_IN}, addresses=addresses)


if __name__ == "__main__":
    sys.stdout.write(markdown(built_in()))
