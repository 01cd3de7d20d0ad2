"""What `antiphon run generate` writes, by the memory and by the bar model, beside songs:

python -m antiphon_models.answer.generated DATA [WEIGHTS]

WEIGHTS is the folder that `antiphon train bars-gan` wrote to: then its pieces are measured as well.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from antiphon.api.files import read_midi
from antiphon_answer.improviser import Planned
from antiphon_answer.prior import KEYS
from antiphon_models.answer.evaluation import FEWEST, SLOTS
from antiphon_models.answer.melodies import TuneSong, melodies
from antiphon_models.answer.telling import ALONE, features_of, in_key, separation, shared_part
from antiphon_models.learning.user_commands import command

COUNT, BARS, FROM = 24, 32, 16
"""Pieces of each, their bars, and the bar from which eight are shown to the forest."""


def piece_melody(song: TuneSong, by: str, seed: int) -> list[Planned]:
    """The melody of a piece in a song's key and tempo."""
    tempo = min(240.0, max(40.0, song.tempo))
    wishes = {"by": by, "bars": BARS, "seed": seed, "key": KEYS[song.key], "tempo": round(tempo), "parts": "piano,bass"}
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "out.mid"
        command("run", "generate", target, *(w for name, value in wishes.items() for w in ("-p", f"{name}={value}")))
        (tune,) = (track for track in read_midi(target).tracks if track.name == "melody")
    return [Planned(round(4 * n.start), 4 * n.length, n.number, n.velocity) for n in tune.notes]


def main(data: Path, gan: Path | None = None) -> None:
    """Prints notes a bar, share in key, groups that come back, and how well a forest tells eight bars from a song's."""
    every = [song for song in melodies(data, "test", ("pop909",)) if song.meter == 4 and len(song.notes) > FEWEST]
    chosen = [every[n * len(every) // COUNT] for n in range(COUNT)]
    pieces: dict[str, list[list[Planned]]] = {"human": [_cut(song.notes) for song in chosen]}
    for by in ("memory", "bars"):
        pieces[by] = [piece_melody(song, by, n) for n, song in enumerate(chosen, 1)]
    if gan is not None:
        from antiphon_models.answer.gan import BarsGANRecipe
        from antiphon_models.answer.gan_figures import gan_piece

        network = BarsGANRecipe().network_of(gan).eval()
        pieces["gan"] = [gan_piece(network, BARS, song.key, n) for n, song in enumerate(chosen, 1)]
    start = 16 * FROM
    shown: dict[str, list[np.ndarray]] = {name: [] for name in pieces}
    used: list[str] = []
    for song, *tunes in zip(chosen, *pieces.values(), strict=True):
        halves = [([n for n in t if n.slot < start], [n for n in t if start <= n.slot < start + SLOTS]) for t in tunes]
        if all(len(before) >= 8 and len(after) >= 4 for before, after in halves):
            used.append(song.name)
            for name, (before, after) in zip(pieces, halves, strict=True):
                shown[name].append(features_of(before, after, start, song.key)[:ALONE])
    for name, tunes in pieces.items():
        rows = [
            (len(t) / BARS, in_key(t, song.key), shared_part(*_halves(t)))
            for song, t in zip(chosen, tunes, strict=True)
        ]
        mean, error = np.mean(rows, axis=0), np.std(rows, axis=0, ddof=1) / np.sqrt(len(rows))
        area = separation(shown["human"], shown[name], used, 1) if name != "human" else float("nan")
        figures = ", ".join(
            f"{what} {m:.3f} ± {e:.3f}"
            for what, m, e in zip(("notes a bar", "in key", "groups of the first half"), mean, error, strict=True)
        )
        print(f"{name}: n {len(rows)}, {figures}, AUC {area:.3f} (n {len(used)})")


def _cut(notes: list[Planned]) -> list[Planned]:
    """The first `BARS` bars from that of the first note."""
    first = 16 * (notes[0].slot // 16)
    return [n._replace(slot=n.slot - first) for n in notes if n.slot < first + 16 * BARS]


def _halves(notes: list[Planned]) -> tuple[list[Planned], list[Planned]]:
    """The second half, and the first."""
    return [n for n in notes if n.slot >= 8 * BARS], [n for n in notes if n.slot < 8 * BARS]


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
