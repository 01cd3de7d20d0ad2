"""Writes `library/analysed.json.gz`: analysis results of the shipped sounds, and their positions on the map.

`.venv/bin/python tools/shipped_sounds.py`, after a sound or an analysis has changed; minutes for all. Results are
cached in build/shipped, so that the next call only analyses new sounds.
"""

import csv
import gzip
import json
import os
import re
import sqlite3
from pathlib import Path
from typing import Any

from antiphon.api.backends.analysis import named_analyses
from antiphon.api.backends.files import built_in_folder
from antiphon_library import analysing, chart, scanning
from antiphon_library.catalogue import Catalogue
from antiphon_library.schema import FOLDERS, SHIPPED_FILE

KEPT = Path("build/shipped")
DIGITS = 4
"""Significant digits of numbers: an eighth of a decibel, a thousandth of a tempo."""
LANDMARKS = "fingerprint"
"""The excluded analysis: it takes as much space as all others, and is not used for searching a kit."""
DIGESTS = """SELECT f.path, f.digest, s.digest, s.duration, s.rate, s.channels
    FROM files f JOIN sounds s ON s.id = f.sound"""
WORDS = {
    "bd": "kick", "sd": "snare", "hh": "hi-hat", "oh": "open hi-hat", "cp": "clap", "cb": "cowbell", "rs": "rimshot",
    "cr": "crash", "rd": "ride", "lt": "low tom", "mt": "middle tom", "ht": "high tom", "cl": "clave", "sh": "shaker",
    "wb": "wood block", "tb": "tambourine", "vb": "vibraslap",
}  # fmt: skip
"""Words for the short names of a kit."""
GENRES = {"drums": "loop", "bass": "loop", "chords": "loop", "melody": "loop", "band": "loop"}


def title_and_genre(path: Path, kinds: dict[str, str]) -> dict[str, str]:
    """Title and genre of a sound, by its name and the palette's table."""
    stem, folder = path.stem, path.parent.name
    if path.parent.parent.name == "styles":
        return {"title": f"{folder} {stem}", "genre": "loop"}
    if folder in ("loops", *FOLDERS):
        return {"title": stem, "genre": GENRES.get(stem, "voice")}
    word = next((word for end, word in WORDS.items() if re.fullmatch(rf"(.*_)?{end}", folder)), "")
    genre = kinds.get(f"{folder}/{stem}") or kinds.get(folder, "drums")
    return {"title": f"{folder} {stem}{word and f', {word}'}", "genre": genre}


def round_analysis_values(value: Any) -> Any:
    """Rounds the values of an analysis to fewer digits."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, list | tuple):
        return [round_analysis_values(one) for one in value]
    return {key: round_analysis_values(one) for key, one in value.items()} if isinstance(value, dict) else value


def main() -> None:
    library = built_in_folder("library")
    table = list(csv.DictReader((library / "sounds.csv").open()))
    kinds = {row["sound"]: row["tags"].split()[0] for row in table}
    kinds |= {row["sound"].split("/")[0]: row["tags"].split()[0] for row in table}
    names = [name for name in named_analyses((), of_short=True) if name != LANDMARKS]
    found = []
    with Catalogue(KEPT) as catalogue:
        folders = [built_in_folder(name) for name in FOLDERS]
        scanning.add(catalogue, folders, lambda *_: None)
        states = {path: Path(os.fsdecode(path)) for path in catalogue.states()}
        catalogue.forget([key for key, path in states.items() if not any(map(path.is_relative_to, folders))])
        analysing.analyse(catalogue, names, (), lambda done, of, name: print(f"\r{done} of {of} s", end=""))
        placed = chart.place_tracks(catalogue, again=True)
        points = zip(placed.rows, placed.places.tolist(), strict=True)
        places = {row.path: round_analysis_values(point) for row, point in points}
        digests = {path: row for path, *row in sqlite3.connect(catalogue.path).execute(DIGESTS)}
        for row in catalogue.rows():
            path = Path(os.fsdecode(row.path))
            folder = next(name for name in FOLDERS if path.is_relative_to(built_in_folder(name)))
            results = {key: list(round_analysis_values(row.results[key])) for key in names if key in row.results}
            found.append({
                "name": f"{folder}/{path.relative_to(built_in_folder(folder)).as_posix()}",
                "digest": digests[row.path][0],
                "sound": digests[row.path][1:],
                "tags": title_and_genre(path, kinds) | dict(row.tags),
                "place": places.get(row.path),
                "results": results,
            })  # fmt: skip
    data = gzip.compress(json.dumps(found, separators=(",", ":")).encode(), mtime=0)
    (library / SHIPPED_FILE).write_bytes(data)
    print(f"\r{len(found)} sounds, {len(data):,} bytes")


if __name__ == "__main__":
    main()
