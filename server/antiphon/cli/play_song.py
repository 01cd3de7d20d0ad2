"""`antiphon play song.mid`: extends a patch by a node that plays the file; `--with-me`: gives it a recording."""

from dataclasses import replace
from pathlib import Path

from antiphon.cli.errors import complain
from antiphon.cli.progress import progress_bar
from antiphon.files.scores.midi_suffixes import MIDI_WRITTEN, is_midi
from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.params import Value
from antiphon.kernel.errors import PluginError, RequestError, UsageError
from antiphon.kernel.graph.clock import MAX_TEMPO, MIN_TEMPO
from antiphon.kernel.graph.graph import End, NodeSpec, Wire
from antiphon.kernel.graph.names import SUFFIX
from antiphon.kernel.graph.patch import dump, load, parse
from antiphon.kernel.plugins import loader
from antiphon.kernel.plugins.hook_lists import service
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.terms import path_text
from antiphon.offline import note_file

PATCH = "keys"
"""Default patch for a file."""
TYPE = "midifile"
NODE = "song"
RATE = 48000
"""Sample rate in Hz for checking the file; any rate would do."""
TEMPO_CHANGE = 0.01
"""Largest tempo change of a file, as a fraction, that a constant clock can follow."""
DRIVE = (
    ("/node/song/start", "again from the beginning"),
    ("/node/song/transpose 2", "two semitones higher, from the next note"),
    ("/node/song/loop 1", "once more, and on, when it ends"),
)
RECORD_PATCH, RECORD_TYPE = "withme", "record"
"""Default patch for a recording, and the type of the node that plays it."""
PLAYER_TEMPO = 1.4
"""How many times faster or slower than the recording the player may be."""
RECORD_DRIVE = (
    ("/node/record/voice 1", "the recording's voice; drums, bass and other likewise"),
    ("/node/record/section chorus", "a section, from the next bar on, again and again"),
    ("/node/record/transpose -2", "two semitones lower"),
    ("/transport/wait", "from the beginning, as you begin"),
)


def patch_of_song(patch: str, song: str) -> str:
    """Text of a copy of a patch with a node that plays a MIDI file once, at the file's tempo.

    The node's notes go to every node that takes notes and that no wire plays. Raises UsageError: the file is not a MIDI
    file, or no node of the patch takes notes. Raises FileError: the file cannot be played. Raises PatchError: the patch
    cannot be loaded.
    """
    path = Path(song)
    if not is_midi(path):
        raise UsageError(
            f"play takes a MIDI file ({' or '.join(MIDI_WRITTEN)}), not {path_text(song)}; "
            f"--with-me plays a recording with you, --input {path_text(song)} a sound as the input"
        )
    score = note_file.read(path, RATE)
    if any(abs(bpm / score.tempo[0][1] - 1.0) > TEMPO_CHANGE for _, bpm in score.tempo):
        # the server's clock has the first tempo alone: who can follows the notes
        score = replace(score, begins=None)
    loaded = loader.load(check=False)
    if TYPE not in loaded.catalog.types:
        raise PluginError(f"the plugin midi, which has {TYPE}, did not load; antiphon plugins says why")
    before = load(patch, loaded.catalog, trusted=True)
    try:
        players = note_file.find_song_players(before.graph, loaded.catalog, score)
    except RequestError as error:
        raise UsageError(f"{path_text(song)}: {error}") from None
    if players.said:
        complain(f"{path_text(song)}: {players.said}")
    name = next(n for n in (NODE, *(f"{NODE}{k}" for k in range(2, 1000))) if not before.graph.has(n))
    ports = {node.name: loaded.catalog[node.type].first("events", "in") for node in players.graph.nodes}
    values: dict[str, Value] = {"file": str(path.absolute()), "tempo": "file", "loop": False}
    node = NodeSpec(name, TYPE, {**values, "beat": score.begins} if score.begins else values)
    played = {"notes": players.all, "pitched": players.pitched, "drums": players.drums}
    wires = tuple(
        Wire(End(name, source), End(to, port.name))
        for source, names in played.items()
        for to in names
        if (port := ports[to]) is not None
    )
    nodes = (node, *(_remove_player_wait(one, loaded.catalog) for one in players.graph.nodes))
    graph = replace(players.graph, nodes=nodes, wires=(*wires, *players.graph.wires))
    bpm = min(MAX_TEMPO, max(MIN_TEMPO, score.song.tempo[0][1]))
    text = dump(replace(before, name=f"{path.stem[:60]} by {before.name}"[:80], tempo=bpm, graph=graph))
    parse(text, loaded.catalog, path.name, trusted=True)
    return text


def patch_of_record(patch: str, song: str) -> str:
    """Text of a copy of a patch whose node of `RECORD_TYPE` has a recording, which is prepared first, at its tempo.

    Raises UsageError: the patch has no such node. Raises FileError: the recording cannot be prepared. Raises
    PluginError: no plugin prepares it. Raises PatchError: the patch cannot be loaded.
    """
    loaded = loader.load(check=False)
    before = load(patch, loaded.catalog, trusted=True)
    if all(node.type != RECORD_TYPE for node in before.graph.nodes):
        raise UsageError(f"the patch {path_text(patch)} has no node {RECORD_TYPE}; {RECORD_PATCH} has one")
    path = Path(song).absolute()
    with progress_bar("preparing") as draw:
        found = service(RECORD_TYPE).prepare(path, lambda share, what: draw(round(1000 * share), 1000, what))
    for remark in found.remarks:
        complain(remark)
    # the player's beat is the record's, not half or twice that
    low, high = max(30.0, found.tempo / PLAYER_TEMPO), min(300.0, found.tempo * PLAYER_TEMPO)
    given = {RECORD_TYPE: {"file": str(path)}, "follow": {"range": f"{low:.0f}-{high:.0f}"}}
    nodes = tuple(
        replace(node, values={**node.values, **given[node.type]}) if node.type in given else node
        for node in before.graph.nodes
    )
    bpm = min(MAX_TEMPO, max(MIN_TEMPO, found.tempo))
    graph = replace(before.graph, nodes=nodes)
    text = dump(replace(before, name=f"{path.stem[:60]} by {before.name}"[:80], tempo=bpm, graph=graph))
    parse(text, loaded.catalog, path.name, trusted=True)
    return text


def write_song_patch(text: str) -> Path:
    """Writes the patch of a song into the cache, where a server finds it."""
    target = paths.cache() / "play" / f"{NODE}{SUFFIX}"
    paths.write_atomic(target, text.encode("utf-8", "surrogateescape"))
    return target


def _remove_player_wait(node: NodeSpec, catalog: Catalog) -> NodeSpec:
    """Returns the node without its wait for a player, since the clock plays the song."""
    waits = any(param.name == "waits" and param.kind == "switch" for param in catalog[node.type].cells)
    return replace(node, values={**node.values, "waits": False}) if waits else node
