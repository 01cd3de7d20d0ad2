"""General MIDI drums by the folders of sounds that play them."""

_SAME = {36: (35,), 38: (40,), 39: (), 42: (44,), 43: (41,), 47: (45,), 50: (48,), 49: (52, 55, 57), 51: (53, 59)}
DRUMS = {
    "bd": 36, "kick": 36, "kick2": 36, "rs": 37, "rim": 37, "sd": 38, "sn": 38, "snare": 38, "cp": 39, "clap": 39,
    "hh": 42, "hc": 42, "ch": 42, "oh": 46, "ho": 46, "lt": 43, "mt": 47, "ht": 50, "cr": 49, "crash": 49, "rd": 51,
    "ride": 51, "cb": 56, "cowbell": 56, "tb": 54, "tambourine": 54, "sh": 70, "shaker": 70,
}  # fmt: skip
"""Note of each drum by the name of a folder, or another name of it."""
DRUM_NOTES = {other: note for note, others in _SAME.items() for other in others}
"""Note by which a drum stands here, by its other notes."""


def is_same_drum(word: object, other: str) -> bool:
    """True for two names of one sound."""
    return word == other or (word in DRUMS and DRUMS[str(word)] == DRUMS.get(other))
