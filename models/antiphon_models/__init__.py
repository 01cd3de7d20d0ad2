"""How the weights that ship were made and measured: networks, trainings and evaluations, a folder for each model.

It may import the server and what plays of the plugins; neither imports it, for a network is named in a string that the
worker imports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.api import Register, hookimpl

if TYPE_CHECKING:
    import typer


@hookimpl
def antiphon_trainings(register: Register) -> None:
    """Registers the trainings of the denoiser's four networks and of the two of `hum`."""
    place = "antiphon_models.denoise.training"
    register("denoise", f"{place}.recipe:MaskRecipe", "The mask network of the denoiser.")
    register("denoise-gate", f"{place}.recipe_gate:GateRecipe", "The thresholds of the denoiser's gate.")
    register(
        "denoise-autoencoder", f"{place}.recipe_autoencoder:AutoencoderRecipe",
        "The denoiser's variational autoencoder.",
    )  # fmt: skip
    register(
        "denoise-confidence", f"{place}.recipe_confidence:ConfidenceRecipe",
        "How far the denoiser's mask may be believed.",
    )  # fmt: skip
    place = "antiphon_models.hum.training"
    register("hum", f"{place}.recipe:HumRecipe", "The network that hears pitch, beginnings and notes.")
    register(
        "popularity", "antiphon_models.classify.popularity.recipe:PopularityRecipe",
        "What a computed audience would give a sound.",
    )  # fmt: skip
    register("hum-spectrogram", f"{place}.plain:PlainRecipe", "The plain way, to be measured beside it.")
    register("tags", "antiphon_models.classify.tags.recipe:TagsRecipe", "The tags of a sound.")
    register(
        "instruments", "antiphon_models.classify.instruments.recipe:InstrumentsRecipe",
        "Which of sixteen families of instruments sound.",
    )  # fmt: skip
    register(
        "instruments-head", "antiphon_models.classify.instruments.head:InstrumentsHeadRecipe",
        "Of the weights of instruments, the last two layers anew.",
    )  # fmt: skip
    register("genre", "antiphon_models.classify.genre.recipe:GenreRecipe", "The classifier of genres.")


@hookimpl
def antiphon_evaluations(register: Register) -> None:
    """Registers an evaluation for each model that has one, and for `identify`, `listen` and `next`."""
    register(
        "accompany", "antiphon_models.accompany.evaluation:Accompanying",
        "Chords and notes beside a harmoniser and the songs' pianists.",
    )  # fmt: skip
    register(
        "character", "antiphon_models.classify.tags.character_evaluation:CharacterEvaluation",
        "Energy, danceability and mood on pairs of pieces that differ in one thing.",
    )  # fmt: skip
    register(
        "denoise", "antiphon_models.denoise.evaluation:Denoising",
        "Beside gates, a Wiener filter, noisereduce, an oracle.",
    )  # fmt: skip
    register(
        "genre", "antiphon_models.classify.genre.evaluation:GenreEvaluation",
        "Genres of composed songs beside MFCC, what is unknown, calibration; or GTZAN and FMA.",
    )  # fmt: skip
    register(
        "hum", "antiphon_models.hum.evaluation:Hearing",
        "Notes heard in singing, winds and hums; false notes; lateness.",
    )  # fmt: skip
    register(
        "identify", "antiphon_models.identify.evaluation:Identifying",
        "Excerpts of 1,000 tracks in noise, rooms and by phone, beside Chromaprint.",
    )  # fmt: skip
    register(
        "instruments", "antiphon_models.classify.instruments.evaluation:FindingInstruments",
        "Families of instruments alone, in duos and mixes, beside MFCC.",
    )  # fmt: skip
    register(
        "listen", "antiphon_models.listen.evaluation:Listening",
        "Beats, downbeats, tempo, chords and key of rendered songs.",
    )  # fmt: skip
    register(
        "loops", "antiphon_models.loops.evaluation:Looping",
        "Tempo, bars and key of loops of known truth, and pieces made of loops.",
    )  # fmt: skip
    register(
        "next", "antiphon_models.recommend.evaluation:Recommending",
        "What comes next, beside popularity, neighbours, ALS and EASE, on simulated listeners or on logs.",
    )  # fmt: skip
    register(
        "popularity", "antiphon_models.classify.popularity.evaluation:PopularityEvaluation",
        "What can be foreseen of a computed audience's votes, and how wide honest intervals are.",
    )  # fmt: skip
    register(
        "summary", "antiphon_models.listen.summary_evaluation:Summarising",
        "Phrases and summaries of rendered songs, against two listeners.",
    )  # fmt: skip
    register(
        "tags", "antiphon_models.classify.tags.evaluation:TagsEvaluation",
        "Tags beside MFCC, their vector beside timbre's; on scenes made by rules, or MagnaTagATune.",
    )  # fmt: skip
    register(
        "transfer", "antiphon_models.transfer.evaluation:Transferring",
        "Timbre beside copying, equalisers and the exact answer.",
    )  # fmt: skip


@hookimpl
def antiphon_commands(cli: typer.Typer) -> None:
    """Adds `antiphon train`, `antiphon evaluate`, `antiphon dataset` and `antiphon pipeline`."""
    from antiphon.cli.examples import epilog
    from antiphon_models.commands import dataset, evaluate, pipeline, train

    cli.command(epilog=epilog("antiphon train --list", "antiphon train denoise --minutes 110"))(train.train)
    cli.command(epilog=epilog("antiphon evaluate --list", "antiphon evaluate hum mine.wav"))(evaluate.evaluate)
    cli.add_typer(dataset.application())
    cli.add_typer(pipeline.application())
