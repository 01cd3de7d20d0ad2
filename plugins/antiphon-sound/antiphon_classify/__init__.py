"""Classifiers of sound by networks over spectrograms, as analyses of the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.api import Register, hookimpl

if TYPE_CHECKING:
    from antiphon.api.backends.http import HttpServer


@hookimpl
def antiphon_processors(register: Register) -> None:
    """Registers the node."""
    register(
        "classify",
        "antiphon_classify.processor:Classify",
        "Classifies the sound by genre, instrument or tag, once a second.",
    )


@hookimpl
def antiphon_analyses(register: Register) -> None:
    """Registers the shipped analyses."""
    register("character", "antiphon_classify.character:Character", "Energy, danceability, arousal, valence, computed.")
    register("genre", "antiphon_classify.genre:Genre", "The three most likely of fourteen genres, or unknown.")
    register("tags", "antiphon_classify.features:Tags", "Words that hold of a sound, of a hundred, and a vector of it.")
    register(
        "instruments", "antiphon_classify.instruments:Instruments", "Families of instruments, where, and any voice."
    )
    register("popularity", "antiphon_classify.popularity:Popularity", "A column of your own table, by the sound.")


@hookimpl
def antiphon_services(register: Register) -> None:
    """Registers the performer's own classifiers."""
    register("classifiers", "antiphon_classify.labels:own_analyses", "Analyses of the performer's own, by name.")


@hookimpl
def antiphon_routes(http: HttpServer) -> None:
    """Adds the operations below `/api/classify`."""
    from antiphon_classify.routes import ClassifyRoutes

    ClassifyRoutes(http)
