"""Training and evaluation of the shipped weights: networks, trainings and evaluations, a folder for each model.

It may import `antiphon.api` and the playing parts of the plugins; neither imports this package: a network is named by a
string that the worker imports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.api import Register, hookimpl

if TYPE_CHECKING:
    from antiphon.api.backends.cli import CommandGroup

_TRAININGS = (
    "denoise denoise.training.recipe:MaskRecipe The mask network of the denoiser.",
    "denoise-mask-file denoise.training.recipe:FileMaskRecipe The same of files, in both directions.",
    "denoise-gate denoise.training.gate:GateRecipe The thresholds of the denoiser's gate.",
    "denoise-confidence denoise.training.confidence:ConfidenceRecipe How far the denoiser's mask may be believed.",
    "denoise-floor denoise.training.recipe_floor:FloorRecipe How far the file mask may be trusted.",
    "denoise-confidence-file denoise.training.confidence:FileConfidenceRecipe The same on files, in both directions.",
    "harmony accompany.networks:HarmonyRecipe The chords of a whole melody, for `accompany` on files.",
    "harmony-live accompany.live_networks:LiveHarmonyRecipe The same of what is past, for `accompany` live.",
    "hum hum.training:HumRecipe The network that hears pitch, beginnings and notes.",
    "popularity classify.popularity:PopularityTraining A column of a table: antiphon train popularity TABLE.csv.",
    "notes latent.training:OwnNotesRecipe A decoder of `latent` of your own notes: antiphon train notes FOLDER.",
    "stems stems.recipe:StemsRecipe The masks of stems in files.",
    "stems-live stems.recipe:LiveStemsRecipe The masks of stems while they play.",
    "timbre transfer.timbre:TimbreRecipe An instrument that a voice plays, from recordings of it.",
)
_EVALUATIONS = (
    "accompany accompany.evaluation:AccompanyEvaluation Chords and notes beside a harmoniser and the songs' pianists.",
    "answer answer.evaluation:AnswerEvaluation Bits a note, and continuations beside the humans' own.",
    "chords listen.own_files:Chords Chords beside crema and templates, on rendered songs or your files.",
    "denoise denoise.evaluation:DenoiseEvaluation Beside a Wiener filter, DeepFilterNet 3 and the ideal mask.",
    "echo_cancel room.evaluation:EchoEvaluation Loudspeakers taken out of a microphone, in simulated rooms.",
    "howl_guard room.howl:HowlEvaluation Loops through simulated rooms that howl, and singers that do not.",
    "lockups room.lockups:LockUpEvaluation A band that follows its player, and hears itself by loudspeakers.",
    "fits loops.fit_evaluation:FitsEvaluation "
    "Which loops go together: parts of unseen songs and copies with one thing wrong.",
    "follow follow.evaluation:FollowEvaluation The player's beat as it comes: as played, swells, steps, ritardandi.",
    "genre classify.evaluation:GenreEvaluation Genres of recordings in folders named by genre, of GTZAN, of FMA.",
    "hum hum.evaluation:HumEvaluation Notes heard in singing, winds and hums; false notes; lateness.",
    "key listen.own_files:Keys Keys beside Krumhansl's profiles, on rendered songs or your files.",
    "latent latent.evaluation:LatentTimbres Notes of a learned space of timbre beside real ones and copies.",
    "listen listen.evaluation:ListenEvaluation Beats, downbeats, tempo, chords and key of rendered songs.",
    "record follow.record_evaluation:RecordEvaluation A recording that waits, beside the person who plays.",
    "score follow.score_evaluation:ScoreFollowing The place in a score beat by beat, and the accompaniment beside it.",
    "stems stems.evaluation:StemsEvaluation Drums, bass, voice and the rest of mixes with real singers, beside HPSS.",
    "tempo listen.own_files:Tempi Tempi beside librosa, on rendered songs or your files.",
    "timbre transfer.timbre_evaluation:Timbres Sung melodies by learned instruments, beside a soundfont.",
)
"""Name, entry point within this package, and one-sentence description of each evaluation."""


@hookimpl
def antiphon_trainings(register: Register) -> None:
    """Registers the trainings of the networks that ship."""
    _register(register, _TRAININGS)


@hookimpl
def antiphon_evaluations(register: Register) -> None:
    """Registers an evaluation for each model that ships."""
    _register(register, _EVALUATIONS)


def _register(register: Register, rows: tuple[str, ...]) -> None:
    for row in rows:
        name, place, sentence = row.split(" ", 2)
        register(name, f"antiphon_models.{place}", sentence)


@hookimpl
def antiphon_commands(cli: CommandGroup) -> None:
    """Adds `antiphon train`, `antiphon evaluate`, `antiphon dataset` and `antiphon pipeline`."""
    from antiphon.api.backends.cli import epilog
    from antiphon_models.commands import dataset, pipeline, train

    cli.command(
        epilog=epilog(
            "antiphon train --list", "antiphon train denoise --minutes 110", "antiphon train notes my-notes --out mine"
        )
    )(train.train)
    cli.command(epilog=epilog("antiphon evaluate --list", "antiphon evaluate hum mine.wav"))(train.evaluate)
    cli.add_command(dataset.application())
    cli.add_command(pipeline.application())
