"""Listen: analyses of recordings for the catalogue, and summaries of songs based on them."""

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_analyses(register: Register) -> None:
    """Registers the analyses."""
    register("loudness", "antiphon_listen.loudness:Loudness", "Loudness, range and true peak by EBU R 128.")
    register("music", "antiphon_listen.music:MusicAnalysis", "Tempo, beats, downbeats, key, chords and sections.")
    register("music-stems", "antiphon_listen.music:StemMusicAnalysis", "The same, with chords and key without drums.")
    register("librosa", "antiphon_listen.music:LibrosaBeats", "Tempo and beats by librosa, asked by name.")


@hookimpl
def antiphon_processors(register: Register) -> None:
    """Registers the live node and the file processors."""
    register("listen", "antiphon_listen.processor:Listen", "Tempo, key and chords of what sounds; beats and loudness.")
    register(
        "summary",
        "antiphon_listen.processor:Summary",
        "Summary of a song: chorus, verse and highlights (files only).",
    )
    register("compact", "antiphon_listen.processor:Compact", "Shortens a song: each section once (files only).")
