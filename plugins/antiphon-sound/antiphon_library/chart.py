"""The map of a catalogue: tracks placed by similarity, artists and genres at their centres; and its drawing."""

import colorsys
import os
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import UsageError
from antiphon.api.backends.files import printable_path
from antiphon.api.backends.runtime import missing_modules, shorten
from antiphon_library.catalogue import Catalogue
from antiphon_library.taste.choosing import F64, TrackTable, components
from antiphon_library.taste_tables import TrackRow

I64 = NDArray[np.int64]
PERPLEXITY = 30.0
"""Effective neighbours of each point."""
MIN_COUNT = 4
"""Number of points below which the map is two principal components."""
BATCH_ROWS = 1024
"""Rows per batch of a distance matrix."""
TRUSTED, MAX_TRUSTED = 10, 2000
"""Number of neighbours, and maximum number of randomly drawn points, for trustworthiness."""


def neighbours(points: F64, count: int) -> I64:
    """Nearest neighbours of each point, `[n, count]`, in ascending distance."""
    size, squares = len(points), (points**2).sum(axis=1)
    near = np.zeros((size, min(count, size - 1)), np.int64)
    for first in range(0, size, BATCH_ROWS):
        rows = np.arange(first, min(size, first + BATCH_ROWS))
        table = squares[None] - 2.0 * points[rows] @ points.T
        table[np.arange(len(rows)), rows] = np.inf
        near[rows] = np.argsort(table, axis=1, kind="stable")[:, : near.shape[1]]
    return near


def principal_components(points: F64) -> F64:
    """First two principal components, `[n, 2]`, of variance 1, with machine-independent signs."""
    if len(points) < 3 or points.shape[1] < 2:
        line = np.arange(len(points), dtype=np.float64)
        return np.stack([line, np.zeros(len(points))], axis=1)
    rows = points - points.mean(axis=0)
    _, axes = np.linalg.eigh(rows.T @ rows)
    axes = axes[:, ::-1][:, :2]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])
    placed = rows @ axes
    return np.asarray(placed / (placed.std(axis=0) + 1e-9))


def map_places(points: F64) -> F64:
    """Map positions `[n, 2]`, around 0, of standard deviation about 1, for points `[n, d]`.

    Raises `UsageError`: scikit-learn is not installed.
    """
    try:
        from sklearn.manifold import TSNE
    except ImportError:
        raise UsageError(missing_modules("library map", "scikit-learn", extra="map")) from None
    if len(points) < MIN_COUNT:
        return principal_components(points)
    perplexity = min(PERPLEXITY, (len(points) - 1) / 3)
    placed = TSNE(init="pca", perplexity=perplexity, random_state=0).fit_transform(points).astype(np.float64)
    placed -= placed.mean(axis=0)
    return np.asarray(placed / (placed.std() + 1e-9))


def interpolated_places(points: F64, known: F64, places: F64) -> F64:
    """Positions `[m, 2]` of new points `[m, d]`, interpolated from those of the nearest known points `[n, d]`."""
    found = np.zeros((len(points), 2))
    squares = (known**2).sum(axis=1)
    for row, point in enumerate(points):
        distance = np.sqrt(np.maximum(squares + point @ point - 2.0 * known @ point, 0.0))
        near = np.argsort(distance, kind="stable")[:5]
        weight = 1.0 / (distance[near] + 1e-3)
        found[row] = (weight[:, None] * places[near]).sum(axis=0) / weight.sum()
    return found


def trustworthiness(points: F64, places: F64) -> float:
    """Trustworthiness of a map's neighbourhoods, 0 to 1 (Venna and Kaski, 2001); NaN for too few points."""
    from sklearn.manifold import trustworthiness

    chosen = np.random.default_rng(0).permutation(len(points))[:MAX_TRUSTED]
    if len(chosen) < 3 * TRUSTED:
        return float("nan")
    return float(trustworthiness(points[chosen], places[chosen], n_neighbors=TRUSTED))


RECOMPUTE_SHARE = 0.3
"""Share of new tracks from which the whole map is recomputed; fewer are placed between their neighbours."""
LISTED_NEIGHBOURS = 6
"""Number of listed neighbours of an artist."""
MAX_NAME = 100
"""Maximum characters of a name on the map; a tag may have 30,000."""


@dataclass(frozen=True, slots=True)
class Chart:
    """The map: rows of `types.MapTrack`, `MapArtist` and `MapGenre`, x and y of standard deviation about 1.

    `unplaced`: number of tracks that are not on it because they have not been analysed.
    """

    tracks: Sequence[Mapping[str, Any]]
    artists: Sequence[Mapping[str, Any]]
    genres: Sequence[Mapping[str, Any]]
    unplaced: int

    def plain(self) -> dict[str, Any]:
        """JSON data of the chart."""
        return {"tracks": self.tracks, "artists": self.artists, "genres": self.genres, "unplaced": self.unplaced}


@dataclass(frozen=True, slots=True)
class Placement:
    """Tracks, their `components` `[n, d]` and places `[n, 2]`; without `fit` the places are principal components."""

    rows: Sequence[TrackRow]
    points: F64
    places: F64
    fit: bool = True

    def trust(self) -> tuple[float, float]:
        """Trustworthiness of the map, and of two principal components for comparison."""
        components = principal_components(self.points)
        return trustworthiness(self.points, self.places), trustworthiness(self.points, components)


def place_tracks(
    catalogue: Catalogue, table: TrackTable | None = None, *, again: bool = False, fit: bool = True
) -> Placement:
    """Returns and stores the positions of a catalogue's analysed tracks, recomputed with `again`.

    Without `fit` the whole map is never recomputed, which takes about a minute for 10,000 tracks. A map with too few
    places then shows two principal components and is not stored. Raises `UsageError`: there is nothing to place.
    """
    table = TrackTable.load(catalogue.taste) if table is None else table
    points = components(table.vectors)
    known = np.flatnonzero(np.isfinite(points[:, 0]))
    if not len(known):
        wanted = "analyse` does that" if table.rows else "add FOLDER` and then `antiphon library analyse` do that"
        raise UsageError(
            f"the library {catalogue.path} holds no sound that has been analysed; `antiphon library {wanted}"
        )
    points, rows = points[known], [table.rows[n] for n in known]
    stored = {} if again else catalogue.taste.places()
    has = np.array([row.id in stored for row in rows])
    if has.sum() == 0 or (~has).sum() > RECOMPUTE_SHARE * has.sum():
        if not fit:
            return Placement(rows, points, principal_components(points), fit=False)
        places = map_places(points)
        catalogue.taste.put_places(_places_by_id(rows, places), all_anew=True)
        return Placement(rows, points, places)
    places = np.array([stored.get(row.id, (0.0, 0.0)) for row in rows])
    if not has.all():
        places[~has] = interpolated_places(points[~has], points[has], places[has])
        new = [row for row, old in zip(rows, has, strict=True) if not old]
        catalogue.taste.put_places(_places_by_id(new, places[~has]), all_anew=False)
    return Placement(rows, points, places)


def chart(placement: Placement, unplaced: int = 0) -> Chart:
    """Map of placed tracks; `unplaced`: number of others."""
    spelled: dict[str, str] = {}
    tracks = [
        {
            "id": row.id,
            "path": printable_path(os.fsdecode(row.path)),
            "title": _title(row),
            "artist": _name(row, "artist"),
            "genre": _genre(row, spelled),
            "x": round(float(x), 4),
            "y": round(float(y), 4),
        }
        for row, (x, y) in zip(placement.rows, placement.places, strict=True)
    ]
    artists = _groups(tracks, placement, "artist")
    centres = np.array([points for _, _, _, points in artists]).reshape(len(artists), placement.points.shape[1])
    near = neighbours(centres, LISTED_NEIGHBOURS) if len(artists) > 1 else np.zeros((len(artists), 0), np.int64)
    listed = []
    for number, (name, members, (x, y), _) in enumerate(artists):
        genres = Counter(tracks[n]["genre"] for n in members if tracks[n]["genre"])
        genre = genres.most_common(1)[0][0] if genres else ""
        nearest = [artists[other][0] for other in near[number]]
        listed.append({"name": name, "genre": genre, "x": x, "y": y, "tracks": len(members), "nearest": nearest})
    genres_of = [
        {"name": name, "x": x, "y": y, "tracks": len(members)}
        for name, members, (x, y), _ in _groups(tracks, placement, "genre")
    ]
    return Chart(tracks, listed, genres_of, unplaced)


def _genre(row: TrackRow, spelled: dict[str, str]) -> str:
    """Returns the genre by tags or analysis; "folk" becomes Folk if that came first, as stored in `spelled`."""
    genre = _name(row, "genre") or shorten(row.genre, MAX_NAME)
    return spelled.setdefault(genre.lower(), genre)


def _groups(
    tracks: Sequence[Mapping[str, Any]], placement: Placement, what: str
) -> list[tuple[str, list[int], tuple[float, float], F64]]:
    """Name, tracks, position and mean point of each artist or genre, largest first."""
    members: dict[str, list[int]] = {}
    for number, track in enumerate(tracks):
        if track[what]:
            members.setdefault(track[what], []).append(number)
    found = []
    for name, inside in sorted(members.items(), key=lambda item: (-len(item[1]), item[0])):
        # the median: one track far away does not draw its artist into a region of others
        x, y = np.median(placement.places[inside], axis=0)
        found.append((name, inside, (round(float(x), 4), round(float(y), 4)), placement.points[inside].mean(axis=0)))
    return found


def _title(row: TrackRow) -> str:
    return _name(row, "title") or shorten(PurePath(printable_path(os.fsdecode(row.path))).stem, MAX_NAME)


def _name(row: TrackRow, tag: str) -> str:
    return shorten(printable_path(" ".join(row.tags.get(tag, "")[:1000].split())), MAX_NAME)


def _places_by_id(rows: Sequence[TrackRow], places: F64) -> dict[int, tuple[float, float]]:
    return {row.id: (float(x), float(y)) for row, (x, y) in zip(rows, places, strict=True)}


WIDTH, HEIGHT, MARGIN = 1600, 1200, 70
PAPER, INK, SOFT = (20, 18, 15), (236, 230, 218), (165, 155, 138)
RADIUS = 3
MAX_LABELS = 80
"""Maximum labelled artists, and tracks without one; overlapping labels are left out."""
MAX_LABEL_LETTERS = 28
"""Maximum characters of a label."""
_GLYPHS: dict[str, str] = tomllib.loads(Path(__file__).with_name("glyphs.toml").read_text("utf-8"))
"""Bitmap font: seven rows of five pixels each, a byte a row; lower case is drawn as upper case."""
_UNKNOWN = "1f11111111111f"


def draw(chart: Chart) -> NDArray[np.uint8]:
    """Draws a map as a picture, `[HEIGHT, WIDTH, 3]`."""
    image = np.empty((HEIGHT, WIDTH, 3))
    image[:] = PAPER
    places = np.array([(track["x"], track["y"]) for track in chart.tracks], np.float64).reshape(-1, 2)
    low, span = _frame(places)
    genres = {genre["name"]: number for number, genre in enumerate(chart.genres)}
    disc = [
        (dx, dy) for dx in range(-RADIUS, RADIUS + 1) for dy in range(-RADIUS, RADIUS + 1) if dx * dx + dy * dy <= 10
    ]
    colours = np.array([colour(genres.get(track["genre"], -1)) for track in chart.tracks], np.float64).reshape(-1, 3)
    dots = _pixels(places, low, span)
    for dx, dy in disc:
        at = (dots[:, 1] + dy, dots[:, 0] + dx)
        image[at] = 0.45 * image[at] + 0.55 * colours
    used: list[tuple[int, int, int, int]] = []
    for genre in chart.genres[:40]:
        _label(image, genre, low, span, 3, colour(genres[genre["name"]]), used)
    for artist in chart.artists[:MAX_LABELS]:
        _label(image, artist, low, span, 2, INK, used)
    for track in [track for track in chart.tracks if not track["artist"]][:MAX_LABELS]:
        _label(image, {**track, "name": track["title"]}, low, span, 2, SOFT, used)
    return np.asarray(image.round().astype(np.uint8))


def colour(number: int) -> tuple[int, int, int]:
    """Colour of a genre by its number, distant in hue from neighbouring numbers. Negative: no genre."""
    if number < 0:
        return SOFT
    red, green, blue = colorsys.hls_to_rgb((number * 0.381966) % 1.0, 0.62, 0.55)
    return round(255 * red), round(255 * green), round(255 * blue)


def _frame(places: F64) -> tuple[F64, float]:
    if not len(places):
        return np.zeros(2), 1.0
    low, high = places.min(axis=0), places.max(axis=0)
    span = max((high[0] - low[0]) / (WIDTH - 2 * MARGIN), (high[1] - low[1]) / (HEIGHT - 2 * MARGIN), 1e-6)
    centre = 0.5 * (low + high)
    return centre, float(span)


def _pixels(places: F64, centre: F64, span: float) -> NDArray[np.int64]:
    at = (places - centre) / span + np.array([WIDTH / 2, HEIGHT / 2])
    return np.asarray(np.clip(at.round().astype(np.int64), RADIUS, np.array([WIDTH, HEIGHT]) - RADIUS - 1))


def _label(
    image: F64,
    group: object,
    centre: F64,
    span: float,
    scale: int,
    ink: Sequence[int],
    used: list[tuple[int, int, int, int]],
) -> None:
    assert isinstance(group, dict)
    name = plain(str(group["name"]))
    if not name:
        return
    width, height = 6 * scale * len(name), 7 * scale
    x, y = _pixels(np.array([[group["x"], group["y"]]]), centre, span)[0]
    left = int(np.clip(x - width // 2, 2, WIDTH - width - 2))
    top = int(np.clip(y - height // 2, 2, HEIGHT - height - 2))
    box = (left - 4, top - 4, left + width + 4, top + height + 4)
    if any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in used):
        return
    used.append(box)
    mask = np.kron(text_pixels(name), np.ones((scale, scale))).astype(np.bool_)
    area = image[top : top + height, left : left + width]
    area *= 0.55
    area[mask] = ink


def text_pixels(name: str) -> NDArray[np.bool_]:
    """Pixels of a text of `plain` letters, `[7, 6 for each]`."""
    rows = np.zeros((7, 6 * len(name)), np.bool_)
    for place, letter in enumerate(name):
        glyph = bytes.fromhex(_GLYPHS.get(letter, _UNKNOWN))
        for row, bits in enumerate(glyph):
            for column in range(5):
                rows[row, 6 * place + column] = bits >> (4 - column) & 1
    return rows


def plain(name: str) -> str:
    """Name in the available glyphs: without accents, other scripts as boxes."""
    letters = unicodedata.normalize("NFKD", name[:200]).upper()
    return "".join(letter for letter in letters if not unicodedata.combining(letter))[:MAX_LABEL_LETTERS].strip()
