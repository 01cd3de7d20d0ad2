"""The map as a picture, drawn without a browser or graphics library."""

import colorsys
import tomllib
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon_library.map.chart import Chart
from antiphon_library.taste.preference import F64

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
    """Picture of a map, `[HEIGHT, WIDTH, 3]`."""
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
    mask = np.kron(lettering(name), np.ones((scale, scale))).astype(np.bool_)
    area = image[top : top + height, left : left + width]
    area *= 0.55
    area[mask] = ink


def lettering(name: str) -> NDArray[np.bool_]:
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
