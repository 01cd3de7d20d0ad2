"""Makes training scenes once into a folder: ten seconds of music as four aligned stems.

Songs in parts (POP909, the bands of freedoom and openttd-openmsx, songs composed by rules) by soundfonts and random
synthesisers, melodies sung by espeak-ng through WORLD, real drum loops and one-shots. Splits are by song, loop, voice
and soundfont. Making them needs FluidSynth, espeak-ng and pyworld.

A recorded solo guitar becomes the rest as a whole; the file network separates all other recordings.
"""

import random
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import oaconvolve

from antiphon.api import F32
from antiphon_models.denoise.training import sounds, voices
from antiphon_models.material import fluidsynth
from antiphon_models.material.composer.genres import GENRES
from antiphon_models.material.composer.song import compose
from antiphon_models.material.fluidsynth import TICKS, FluidSettings, midi_bytes, note_off, note_on, program_change
from antiphon_models.material.part_songs import PartSong, songs
from antiphon_models.material.singing import SecondsNote, Singer, Syllable, analyse_speech, singing, speak, syllable
from antiphon_models.material.sounds import mono, of_length, resample_mono
from antiphon_models.material.styles import TRAINED, UNTRAINED, draw_singing_style
from antiphon_stems.grids import STEMS
from antiphon_stems.jobs import separate

RATE, SECONDS = 44100, 10.0
FRAMES = int(RATE * SECONDS)
COUNTS = {"train": 157, "valid": 24}
VOICES = {"train": 151, "valid": 12}
RECORDED = {"train": 120, "valid": 18}
_SF2 = Path("/usr/share/sounds/sf2")
FONTS: dict[sounds.Part, tuple[Path, ...]] = {
    "train": (
        _SF2 / "FluidR3_GM.sf2",
        _SF2 / "FluidR3_GM.sf2",
        _SF2.with_name("sf3") / "MuseScore_General_Lite.sf3",
        _SF2 / "OPL-3_FM_128M.sf2",
    ),
    "valid": (_SF2 / "sf_GMbank.sf2",),
    "test": (_SF2 / "TimGM6mb.sf2",),
}
LOOPS: dict[sounds.Part, tuple[str, ...]] = {
    "train": (
        *("loop_breakbeat", "loop_compus", "loop_electric", "loop_mehackit1", "loop_mehackit2", "loop_mika"),
        *("loop_perc1", "loop_safari"),
    ),
    "valid": ("loop_perc2", "loop_industrial"),
    "test": ("loop_amen", "loop_amen_full", "loop_tabla", *(f"arovane_beat_{n}" for n in "abcde")),
}
_TESTED_SHOTS = ("drum_", "bd_haus", "sn_dub", "hat_zild", "hat_raw")
_KICKS = ("bd_", "drum_heavy_kick", "elec_hollow_kick")
_SNARES = ("sn_", "drum_snare", "elec_snare")
_HATS = ("hat_", "drum_cymbal_closed", "elec_tick")
_WORDS = sounds.WORDS
_LEADS = (*range(32), *range(40, 52), *range(56, 88), *range(104, 112))
_BACKS = (*range(32), *range(40, 52), *range(55, 72), *range(88, 104))
_VOWELS = ("la", "na", "da", "doo", "ma", "yeah", "no", "bee", "ru", "go", "ta", "sea", "ko", "high", "you", "feel",
           "star", "wish", "love", "cry", "down", "free", "lie", "moon", "oh", "ah")  # fmt: skip
Score = dict[str, list[SecondsNote]]


def make(data: Path, folder: Path, seed: int, say: Callable[[str], None], counts: dict[str, int] = COUNTS) -> None:
    """Makes the missing scenes: `PART-NNNN.npy`, int16 `[4, FRAMES]`, stems in the order of `STEMS`; and voices alone,
    `voice-PART-NNNN.npy`, `[1, FRAMES]`."""
    todo = [(f"{part}-{n:04d}", part) for part, count in counts.items() for n in range(count)]
    todo += [(f"voice-{part}-{n:04d}", part) for part, count in VOICES.items() for n in range(count)]
    # numbered so that a training takes them as any scene
    todo += [(f"{part}-r{n:04d}", part) for part, count in RECORDED.items() if pieces(data, part) for n in range(count)]
    missing = sorted((name[-4:], name, part) for name, part in todo if not (folder / f"{name}.npy").is_file())
    if not missing:
        return
    say(f"making {len(missing)} scenes in {folder}")
    with ProcessPoolExecutor(2) as pool:
        for n, _ in enumerate(pool.map(partial(_make, data, folder, seed), missing)):
            if n % 25 == 24:
                say(f"{n + 1} of {len(missing)} scenes")


def _make(data: Path, folder: Path, seed: int, item: tuple[str, str, sounds.Part]) -> None:
    _, name, part = item
    rnd = random.Random(f"{seed}-{part}-{int(name[-4:])}")
    if name.startswith("voice"):
        made = voice(data, part, rnd)[None]
    else:
        made = make_scene(data, part, rnd, RATE, FRAMES) if "-r" in name else scene(data, part, rnd)
    temporary = folder / f"{name}.part"
    with temporary.open("wb") as file:
        np.save(file, np.round(np.clip(made, -1.0, 1.0) * 32767).astype(np.int16))
    temporary.replace(folder / f"{name}.npy")


def scene(
    data: Path, part: sounds.Part, rnd: random.Random, sings: Callable[[random.Random], F32] | None = None
) -> F32:
    """Makes a scene, float32 `[4, FRAMES]`; each present stem has a peak of 0.9.

    With `sings`, which returns `FRAMES` of sound, every scene has that voice, and no band song is used.
    """
    kinds = (_composed, _composed, _band, _pop) if sings is None else (_composed, _pop)
    score = rnd.choice(kinds)(data, part, rnd)
    font = rnd.choice(FONTS[part])
    sung = np.zeros(FRAMES, np.float32)
    if sings is not None:
        sung = sings(rnd)
    elif score.get("melody") and rnd.random() < (0.85 if "pop" in score else 0.55):
        sung = _sung(score.pop("melody"), part, rnd)
    elif rnd.random() < 0.3:
        text = " ".join(rnd.sample((*_VOWELS, "river", "letters", "music", "silver", "before", "question"), 24))
        sung = of_length(speak(text, _singer(part, rnd), rnd.randint(130, 260), rnd.randint(20, 80), RATE), FRAMES)
    other = np.zeros(FRAMES, np.float32)
    for name, programs in (("melody", _LEADS), ("chords", _BACKS), ("pad", _BACKS)):
        if score.get(name):
            level = 10 ** rnd.uniform(-0.4, 0.0)
            other += level * _normalise_rms(_instrument(score[name], rnd.choice(programs), font, rnd, synth=0.25))
    bass = _instrument(score.get("bass", []), rnd.choice(range(32, 40)), font, rnd, synth=0.35)
    drums = _drums(data, part, score.get("drums", []), font, rnd)
    stems = [
        _room(_soft_clip(s, rnd, often), rnd, wet)
        for s, often, wet in ((drums, 0.4, 0.3), (bass, 0.3, 0.1), (sung, 0.15, 0.6), (other, 0.1, 0.4))
    ]
    return np.stack([0.9 * _normalise_peak(s) for s in stems])


def _normalise_peak(x: F32) -> F32:
    top = float(np.abs(x).max(initial=0.0))
    return np.asarray(x / top if top > 1e-4 else np.zeros_like(x), np.float32)


def _normalise_rms(x: F32) -> F32:
    own = float(np.sqrt(np.mean(x**2)))
    return np.asarray(0.1 * x / own if own > 1e-4 else x, np.float32)


def _cut(notes: Sequence[SecondsNote], start: float) -> list[SecondsNote]:
    """Notes that begin in ten seconds, or are held into them."""
    inside = [n for n in notes if n.end > start + 0.05 and n.start < start + SECONDS]
    return [SecondsNote(max(0.0, n.start - start), n.end - start, n.pitch, n.velocity) for n in inside]


@cache
def _songs(data: Path, part: sounds.Part, sources: tuple[str, ...]) -> list[PartSong]:
    return list(songs(data, part, sources, 60))


def _part_song(song: PartSong, rnd: random.Random) -> Score:
    beat = 60.0 / song.tempo
    ends = max(n.end for notes in song.parts.values() for n in notes) * beat
    start = rnd.uniform(0.0, max(0.0, ends - SECONDS))
    return {
        name: _cut([SecondsNote(n.start * beat, n.end * beat, n.pitch, n.velocity) for n in notes], start)
        for name, notes in song.parts.items()
    }


def _band(data: Path, part: sounds.Part, rnd: random.Random) -> Score:
    return _part_song(rnd.choice(_songs(data, part, ("freedoom", "openttd-openmsx"))), rnd)


def _pop(data: Path, part: sounds.Part, rnd: random.Random) -> Score:
    """A song of POP909; its drums and bass are taken from a composed song."""
    score = _part_song(rnd.choice(_songs(data, part, ("pop909",))), rnd)
    other = _composed(data, part, rnd)
    return {**score, "pop": [], "bass": other.get("bass", []), "drums": other.get("drums", [])}


def _composed(data: Path, part: sounds.Part, rnd: random.Random) -> Score:
    first = {"train": 0, "valid": 10**6, "test": 2 * 10**6}[part]
    song = compose(rnd.choice(GENRES), first + rnd.randrange(10**6), 24.0)
    names = {"lead": "melody"}
    start, score = rnd.uniform(0.0, 12.0), Score()
    for note in song.notes:
        notes = score.setdefault(names.get(note.part, note.part), [])
        notes.append(SecondsNote(note.start, note.end, note.pitch, note.velocity / 127))
    return {name: _cut(notes, start) for name, notes in score.items()}


def _font(notes: Sequence[SecondsNote], program: int, font: Path, channel: int = 0) -> F32:
    if not notes:
        return np.zeros(FRAMES, np.float32)
    events = [(0, 0, program_change(channel, program))]
    for n in notes:
        at, end = round(n.start * TICKS), round(min(n.end, SECONDS) * TICKS)
        events.append((at, 2, note_on(channel, n.pitch, max(1, min(127, round(127 * n.velocity))))))
        events.append((max(at + 1, end), 1, note_off(channel, n.pitch)))
    score = midi_bytes((at, message) for at, _, message in sorted(events))
    return of_length(fluidsynth.play(score, font, RATE, FluidSettings(0.5)).mean(axis=1), FRAMES)


def _instrument(notes: list[SecondsNote], program: int, font: Path, rnd: random.Random, synth: float) -> F32:
    if not notes or rnd.random() >= synth:
        return _font(notes, program, font)
    # the synthesisers are made for 48 kHz
    up = 12 * np.log2(sounds.RATE / RATE)
    played = [voices.VoiceNote(n.start, max(0.05, n.end - n.start), n.pitch + up, n.velocity) for n in notes[:120]]
    stretched = [
        voices.VoiceNote(v.begin * RATE / sounds.RATE, v.length * RATE / sounds.RATE, v.pitch, v.level) for v in played
    ]
    return of_length(voices.render_notes(stretched, SECONDS, rnd), FRAMES)


def _singer(part: sounds.Part, rnd: random.Random) -> str:
    """A language with a variant, from few combinations, so that syllables are analysed once."""
    pairs = [(language, variant) for language in sounds.LANGUAGES[part] for variant in sounds.VARIANTS[part]]
    pairs = [(a, b) for a, b in pairs if "whisper" not in b]
    return "".join(random.Random(4).sample(pairs, min(24, len(pairs)))[rnd.randrange(min(24, len(pairs)))])


def _sung(
    notes: list[SecondsNote],
    part: sounds.Part,
    rnd: random.Random,
    take: Callable[[str, str, int], Syllable] = syllable,
) -> F32:
    line: list[SecondsNote] = []
    for n in sorted(notes, key=lambda n: (n.start, -n.pitch)):
        if line and n.start - line[-1].start < 0.08:
            continue
        if line and line[-1].end > n.start:
            line[-1] = SecondsNote(line[-1].start, n.start, line[-1].pitch, line[-1].velocity)
        line.append(n)
    line = [SecondsNote(n.start, min(n.end, SECONDS), n.pitch, n.velocity) for n in line if n.start < SECONDS - 0.2]
    if not line:
        return np.zeros(FRAMES, np.float32)
    middle, wanted = float(np.median([n.pitch for n in line])), rnd.uniform(48, 74)
    by = 12 * round((wanted - middle) / 12)
    sound = np.zeros(FRAMES, np.float32)
    for k in range(1 + (rnd.random() < 0.25)):
        shift = by + (rnd.choice((0, 0, 4, 7, -5, 12)) if k else 0)
        moved = [SecondsNote(n.start, n.end, min(84, max(38, n.pitch + shift)), n.velocity) for n in line]
        style = draw_singing_style(np.random.default_rng(rnd.getrandbits(32)), rnd.choice((TRAINED, UNTRAINED)))
        voice, seed = _singer(part, rnd), rnd.getrandbits(31)
        x, _ = singing(moved, Singer(voice, rnd.sample(_VOWELS, 8), rnd.uniform(0.8, 1.3), take), style, seed, RATE)
        sound += of_length(x, FRAMES) * (1.0 if k == 0 else rnd.uniform(0.3, 0.9))
    return sound


def voice(data: Path, part: sounds.Part, rnd: random.Random) -> F32:
    """Solo voice, `[FRAMES]`: speech made to sing by WORLD, or for validation people recorded on phones."""
    if part == "valid":
        return _normalise_peak(singer(data, part, rnd))
    how = rnd.random()
    if how < 0.15:
        x, start = rnd.choice(_speakers(data)), rnd.uniform(0.0, 1.0)
        x = resample_mono(x, round(RATE * rnd.uniform(0.75, 1.25)), RATE)
        x = of_length(np.roll(x, int(start * len(x))), FRAMES)
    else:
        score: Score = {}
        while not score.get("melody"):
            score = (_pop if rnd.random() < 0.7 else _composed)(data, part, rnd)
        of = partial(_piece, data, rnd.randrange(len(_speakers(data))))
        x = _sung(score["melody"], part, rnd, syllable if how < 0.35 else of)
    return _normalise_peak(_room(_simulate_cheap_microphone(x, rnd), rnd, 0.6))


def singer(data: Path, part: sounds.Part, rnd: random.Random) -> F32:
    """Ten seconds of one of the people who sang on phones; every second person is for tests."""
    paths = sorted((data / "singing").glob("*.ogg"))[part == "test" :: 2]
    sound = mono(rnd.choice(paths), RATE)
    start = rnd.randrange(max(1, len(sound) - FRAMES))
    return of_length(sound[start:], FRAMES)


@cache
def _speakers(data: Path) -> tuple[F32, ...]:
    """Speech at `RATE`: the first part of a recording, voices of a game, and a neural voice where installed."""
    found = []
    for path, first, last in sounds.tracks(data, "train"):
        if path.stem == "speech_librispeech":
            x = mono(path, RATE)
            found.append(x[int(first * len(x)) : int(last * len(x))])
    for folder in sorted((data / "debian/hedgewars-data").rglob("voices/*")):
        if said := sorted(folder.glob("*.ogg")):
            found.append(np.concatenate([mono(path, RATE) for path in said]))
    if find_spec("hibari") is not None:
        import hibari

        reader, own = hibari.Hibari(), random.Random(5)
        for speed in (0.75, 1.0):
            words = (" ".join(own.sample(_WORDS, 12)) + "." for _ in range(4))
            found.append(
                resample_mono(np.concatenate([reader(text, speed=speed, seed=1) for text in words]), 24000, RATE)
            )
    return tuple(found)


@cache
def _pieces(data: Path, speaker: int, number: int) -> Syllable:
    x = _speakers(data)[speaker]
    length = int(0.35 * RATE)
    rnd = random.Random(number)
    while True:
        start = rnd.randrange(len(x) - length)
        piece = x[start : start + length]
        if float(np.sqrt(np.mean(piece**2))) > 0.7 * float(np.sqrt(np.mean(x**2))):
            return analyse_speech(piece, RATE)


def _piece(data: Path, speaker: int, text: str, voice: str, rate: int) -> Syllable:
    """A third of a second of speech used as a syllable, constant for a text and a voice."""
    return _pieces(data, speaker, zlib.crc32(f"{text}{voice}".encode()) % 24)


def _simulate_cheap_microphone(x: F32, rnd: random.Random) -> F32:
    """Simulates a cheap microphone: band-limited, tilted, noisy, limited."""
    spectrum, hertz = np.fft.rfft(x), np.maximum(np.fft.rfftfreq(len(x), 1.0 / RATE), 1.0)
    gain = (hertz / 1000.0) ** rnd.uniform(-0.6, 0.4)
    gain /= 1.0 + (rnd.uniform(40.0, 250.0) / hertz) ** 4
    if rnd.random() < 0.5:
        gain /= 1.0 + (hertz / rnd.uniform(3000.0, 12000.0)) ** rnd.choice((4, 8, 16))
    for _ in range(3):
        middle = 10 ** rnd.uniform(2.2, 3.8)
        gain *= 10 ** (rnd.gauss(0.0, 5.0) / 20 * np.exp(-((np.log(hertz / middle) / rnd.uniform(0.2, 0.7)) ** 2)))
    y = _normalise_peak(np.asarray(np.fft.irfft(spectrum * gain, len(x)), np.float32))
    if rnd.random() < 0.4:
        y = np.tanh(rnd.uniform(1.0, 4.0) * y).astype(np.float32)
    noise = np.random.default_rng(rnd.getrandbits(32)).standard_normal(len(x))
    return np.asarray(y + 10 ** rnd.uniform(-4.0, -2.0) * noise, np.float32)


@cache
def _sample(path: Path) -> F32:
    return mono(path, RATE)


def _drums(data: Path, part: sounds.Part, notes: list[SecondsNote], font: Path, rnd: random.Random) -> F32:
    how = rnd.random()
    folder = data / "sonicpi"
    if how < 0.3:
        x = _sample(folder / f"{rnd.choice(LOOPS[part])}.flac")
        x = resample_mono(x, RATE, round(RATE * rnd.uniform(0.8, 1.25)))
        return of_length(np.tile(np.roll(x, rnd.randrange(len(x))), FRAMES // len(x) + 1), FRAMES)
    if how < 0.55:
        return _pattern(folder, part, rnd)
    return (
        _font(notes, rnd.choice((0, 0, 8, 16, 24, 25, 32, 40)), font, channel=9)
        if notes
        else _pattern(folder, part, rnd)
    )


def _pattern(folder: Path, part: sounds.Part, rnd: random.Random) -> F32:
    """Repeats a bar of one-shots."""
    names = [p for p in sorted(folder.glob("*.flac")) if p.stem.startswith(_TESTED_SHOTS) == (part == "test")]
    out, step = np.zeros(FRAMES + 8 * RATE, np.float32), 15.0 / rnd.uniform(80, 150)
    swing = rnd.choice((0.0, 0.0, rnd.uniform(0.0, 0.33)))
    speed = rnd.uniform(0.85, 1.2)
    for kinds, places, often, level in (
        (_KICKS, (0, 8), 0.15, 1.0),
        (_SNARES, (4, 12), 0.08, 0.8),
        (_HATS, (0, 2, 4, 6, 8, 10, 12, 14), 0.35, 0.45),
        (("perc_", "drum_tom", "drum_cymbal", "elec_", "tabla_"), (), 0.12, 0.5),
    ):
        found = [p for p in names if p.stem.startswith(kinds)]
        if not found or rnd.random() < 0.1:
            continue
        x = resample_mono(_sample(rnd.choice(found))[: 2 * RATE], RATE, round(RATE * speed))
        row = [n in places or rnd.random() < often for n in range(16)]
        for n in range(int(SECONDS / step)):
            if row[n % 16] and rnd.random() < 0.95:
                at = int((n + swing * (n % 2)) * step * RATE)
                out[at : at + len(x)] += x * np.float32(level * rnd.uniform(0.5, 1.0))
    return out[:FRAMES]


def _soft_clip(x: F32, rnd: random.Random, often: float) -> F32:
    """Soft-clips the sound, like compressors and amplifiers."""
    if rnd.random() >= often:
        return x
    return np.asarray(np.tanh(rnd.uniform(1.0, 4.0) * _normalise_peak(x)), np.float32)


def _room(x: F32, rnd: random.Random, often: float) -> F32:
    if rnd.random() >= often:
        return x
    length = rnd.uniform(0.2, 1.6)
    t = np.arange(int(length * RATE)) / RATE
    noise = np.random.default_rng(rnd.getrandbits(32)).standard_normal(len(t))
    tail = np.cumsum(noise * 10 ** (-3 * t / length)) if rnd.random() < 0.2 else noise * 10 ** (-3 * t / length)
    tail *= 10 ** rnd.uniform(-0.9, -0.2) / np.sqrt(np.sum(tail**2))
    tail[0] += 1.0
    return np.asarray(oaconvolve(x, tail)[:FRAMES], np.float32)


PACKAGES: dict[sounds.Part, tuple[str, ...]] = {
    "train": (
        *("fretsonfire-songs-muldjord", "singularity-music", "supertuxkart-data", "wesnoth-1.16-music"),
        *("unknown-horizons", "lincity-ng-data", "marsshooter-data", "hex-a-hop-data", "supertux-data"),
    ),
    "valid": ("hedgewars-data",),
    "test": ("fretsonfire-songs-sectoid", "freedroidrpg-data", "colobot-common-sounds"),
}
MIN_MUSIC_SECONDS = 30.0
"""Minimum length of music in seconds."""
LEAK_SHARE = 10**-2.5
"""Power share below which a stem is leakage."""


@cache
def pieces(data: Path, part: sounds.Part) -> tuple[tuple[Path, ...], ...]:
    """Music files of each present package, for a part."""
    found = (sorted((data / "debian" / name).rglob("*.ogg")) for name in PACKAGES[part])
    return tuple(
        filter(None, (tuple(p for p in each if soundfile.info(p).duration > MIN_MUSIC_SECONDS) for each in found))
    )


def stretch(path: Path, rnd: random.Random, rate: int, frames: int) -> F32:
    """Part of a piece, `[frames]`."""
    with soundfile.SoundFile(path) as file:
        wanted = round(frames * file.samplerate / rate) + 16
        file.seek(rnd.randrange(max(1, file.frames - wanted)))
        sound = resample_mono(file.read(wanted, "float32", always_2d=True).mean(axis=1), file.samplerate, rate)
    return np.pad(sound, (0, max(0, frames - len(sound))))[:frames].astype(np.float32)


def make_scene(data: Path, part: sounds.Part, rnd: random.Random, rate: int, frames: int) -> F32:
    """Scene `[4, frames]`, with stems at most 0.9 and a silent voice."""
    path = rnd.choice(rnd.choice(pieces(data, part)))
    mix = stretch(path, rnd, rate, frames)[None]
    stems = np.zeros((len(STEMS), frames), np.float32)
    if path.stem == "guitar":
        stems[-1] = mix[0]
    else:
        drums, bass, voice, other = np.concatenate(list(separate([mix], rate, 1, by="own")), axis=2)[:, 0]
        stems[:] = drums, bass, np.zeros_like(voice), other + voice
        stems[np.mean(stems**2, axis=1) < LEAK_SHARE * np.mean(mix**2)] = 0.0
    return stems * np.float32(0.9 / max(0.9, float(np.abs(stems).max())))
