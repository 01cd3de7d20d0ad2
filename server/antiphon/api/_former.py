"""Names that left the API: what replaces each, or the room where it is that one plugin or the lab alone uses it."""

from collections.abc import Callable
from typing import NoReturn

import antiphon.kernel.runtime.importing as _importing

_PLAY = "use Play(node, Event({}), when), with Event from antiphon.api"
_PLAYED = "use Play, whose event has the kind, number, value and channel"
REPLACED = {
    "cli": {
        "by_records": "leave the decorator out: a command's declared arguments are read without it",
        "closing_socket": "use OscConnection(host, port, tcp=TCP), whose `socket` is connected; its `with` closes it",
        "complete_named": 'use argument("Sentence.", names=KIND) of antiphon.api.backends.runtime',
    },
    "synths": {"Sounding": "use SynthMemory, whose `restore_events` was `again`"},
    "transports": {
        "NoteOn": _PLAY.format('"on", 0, note, velocity, channel'),
        "NoteOff": _PLAY.format('"off", 0, note, 0.0, channel'),
        "NotePitch": _PLAY.format('"pitch", 0, note, semitones, channel'),
        "NotePressure": _PLAY.format('"pressure", 0, note, value, channel'),
        "NoteTimbre": _PLAY.format('"timbre", 0, note, value, channel'),
        "Control": _PLAY.format('"control", 0, number, value, channel'),
        "Bend": _PLAY.format('"bend", 0, 0, value, channel'),
        **dict.fromkeys(("Note", "NodeEvent", "EmittedEvent"), _PLAYED),
        "NODE_EVENTS": "use isinstance(effect, Play)",
    },
}
"""By the last part of a module's name, and name: what to use instead, as the second half of a sentence."""
_UNSHARED = """
analysis levels_picture files.sound_picture
analysis piano_roll files.sound_picture
analysis spectrogram files.sound_picture
analysis analyse_decoded offline.analyses
analysis separated_file offline.analyses
analysis separator offline.analyses
analysis FolderSound signal.analysis
analysis is_classifier signal.analysis
analysis FEATURE_DEFAULTS signal.features
analysis feature_extractor signal.features
analysis feature_fault signal.features
analysis feature_stream signal.features
analysis FIT signal.fit_vector
analysis HARMONY signal.fit_vector
analysis fit_compatibility signal.fit_vector
analysis transpose_fit signal.fit_vector
analysis unpack_landmarks signal.landmarks
analysis QUIETEST signal.loudness
analysis gated_loudness signal.loudness
analysis lufs_of signal.loudness
analysis LogMel signal.mel
analysis LogMelStream signal.mel
cli CliCommand cli.command:Command
cli termination_signals cli.errors
cli clear_progress cli.progress:clear
cli ask_server client.asking:answers
cli ProgressBar cli.progress
cli follow client.asking
cli OscConnection client.connection
cli owner_token files.owner_token:load_token
cli refuse_existing offline.file_job:check_free
files Sound files.audiofile
files SOUND_KINDS files.containers.layout:KINDS
files KeptDecoder files.decode
files FileStalled files.decode_process
files FileClaims files.own_files:Claims
files copy_into files.own_files
files standard_input files.pipes:input_file
files open_ordinary kernel.runtime.paths
files path_as_spelled kernel.runtime.paths
files PACK_MARK kernel.runtime.sound_packs:MARK
files sound_packs kernel.runtime.sound_packs
files place_in_toml kernel.runtime.toml_location:place_of
http MAX_FILE jobs.files
http write_pieces jobs.files
http EXAMPLE_FILE web.api.jobs:FILE
http maybe web.api.types
http MAX_SCRIPT_BYTES web.messages
http MAX_SCRIPT_VERSION web.messages:MAX_VERSION
http convert web.operations
http OscSubscription web.osc_socket:ValueSubscription
intrinsics address_f64 native.intrinsics
intrinsics address_i64 native.intrinsics
intrinsics as_u8p native.intrinsics
intrinsics bits_f64 native.intrinsics
intrinsics f64_bits native.intrinsics
intrinsics prefetch native.intrinsics
jobs spell_call kernel.runtime.terms
models gelu networks.array_network
models model_names networks.model_files:names
models looks_like_onnx networks.onnx_wire:looks_like
networks open_card networks.cuda:card
rendering NOTHING kernel.contract.file_use
rendering check_type_name kernel.plugins.checks
rendering Registration kernel.plugins.hook_lists
rendering play_through offline.plugin_jobs
rendering render_parts offline.plugin_jobs:sounds
rendering REHEARSED_RATE offline.rehearsing:RATE
rendering perform_change offline.rehearsing
rendering prepared_to_rehearse offline.rehearsing:prepared
rendering rehearse_change offline.rehearsing
rendering warm_patch offline.rehearsing:preload
runtime Host cli.ports
runtime FRAMEWORK_MODULES kernel.runtime.extras:FRAMEWORKS
runtime lacking_modules kernel.runtime.extras:missing
runtime missing_by_error kernel.runtime.extras:of_error
runtime runtime_folder kernel.runtime.paths:runtime
runtime MONOTONIC kernel.runtime.platform
runtime c_function kernel.runtime.platform
runtime cores kernel.runtime.platform
runtime end_before_exec kernel.runtime.platform
runtime end_with_parent kernel.runtime.platform
runtime start_time kernel.runtime.platform
runtime exit_cause kernel.runtime.processes.child_process
runtime ONE_THREAD kernel.runtime.processes.children
runtime suggest kernel.runtime.suggestion
runtime lower_priority offline.priority
signal CHORDS signal.harmony
signal SCALES signal.harmony
signal chord_steps signal.harmony
signal read_symbol signal.harmony
signal power_unit signal.hop_spectrum
signal LyricSyllable signal.lyrics
signal syllables signal.lyrics
signal root_name signal.pitch
synths MORE_INSTRUMENTS backends.backend
synths NULL backends.info
synths chosen_backend backends.info
synths synth_infos backends.info:infos
synths DIALS synths.processor
synths EventWord synths.processor
synths RESERVED synths.processor
synths no_events synths.processor
transports pressable joining.controllers
transports pressed_message joining.controllers
transports settable joining.controllers
transports PatchClip kernel.graph.clips
transports clip_room kernel.graph.clips
transports beside_on_ipv6 kernel.io.listening:open_ipv6_loopback
transports NodeSet kernel.session.actions
transports EVENTS kernel.session.events
transports is_held kernel.session.play
transports other_words kernel.session.play
transports play_commands kernel.session.play:read
transports offered operations.lists:shared_operations
workers process_at kernel.runtime.platform
workers short_slices kernel.runtime.platform
"""
UNSHARED = {(row[0], row[1]): row[2] for row in map(str.split, _UNSHARED.strip().splitlines())}
"""By the last part of a module's name, and name: "room.module" below `antiphon`, with ":NAME" where it differs."""


def refuse(module: str) -> Callable[[str], NoReturn]:
    """`__getattr__` of a module of the API, for the names that it has not."""
    last = module.rpartition(".")[2]
    own = {
        name: f"one plugin alone used it: antiphon.{place}, where it is, is no API and may change in any version"
        for (at, name), place in UNSHARED.items()
        if at == last
    }
    return _importing.refuse_former(module, own | REPLACED.get(last, {}))
