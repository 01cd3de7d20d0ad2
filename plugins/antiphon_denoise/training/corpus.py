"""Clean sound in any amount: songs and chorales by FluidSynth, voices by espeak-ng, patterns of one-shots, tones.

Writes mono 44.1 kHz int16 arrays into a folder, one file each; the first three letters say the kind.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import mido  # type: ignore[import-untyped]
import numpy as np
import soundfile
import soxr

from antiphon_denoise.training.sounds import WORDS

RATE = 44100
FONTS = (Path("/usr/share/sounds/sf2/FluidR3_GM.sf2"), Path("/usr/share/sounds/sf2/TimGM6mb.sf2"))
FAMILIES = [
    range(a, b) for a, b in ((0, 8), (8, 16), (16, 24), (24, 32), (32, 40), (40, 56), (56, 72), (72, 80), (80, 104))
]
LANGUAGES = [
    "en-us",
    "en-gb",
    "en-gb-scotland",
    "de",
    "fr-fr",
    "es",
    "it",
    "pt-br",
    "nl",
    "sv",
    "pl",
    "ru",
    "tr",
    "hi",
    "fi",
    "el",
    "da",
    "hu",
    "cs",
    "id",
]
VOICES = ("", "+m1", "+m2", "+m3", "+m4", "+m5", "+m6", "+m7", "+f1", "+f2", "+f3", "+f4", "+f5", "+croak", "+whisper")
STRUCK = ("bd", "sn", "hat", "drum", "elec", "tabla", "perc", "ride", "mehackit", "glitch", "arovane")
HELD = ("bass", "guit", "ambi", "misc", "vinyl")
Sounding = list[tuple[float, Any]]


class Corpus:
    """A folder of clean sounds; `rnd` and `rng` make the choices."""

    def __init__(self, data: Path, folder: Path, seed: int = 7) -> None:
        self.data, self.folder = data, folder
        self.rnd, self.rng = random.Random(seed), np.random.default_rng(seed)
        folder.mkdir(parents=True, exist_ok=True)

    def save(self, name: str, sound: np.ndarray) -> None:
        peak = float(np.abs(sound).max(initial=0.0))
        if peak > 1e-4:
            np.save(self.folder / f"{name}.npy", (sound * (0.7 / peak) * 32767).astype(np.int16))

    def render(self, name: str, notes: Sounding, programs: dict[int, int], font: Path, seconds: float) -> None:
        """Timed MIDI messages through a soundfont."""
        track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=500000)])
        track += [mido.Message("program_change", channel=c, program=p) for c, p in programs.items()]
        last = 0
        for second, message in sorted(notes, key=lambda pair: pair[0]):
            tick = max(last, round(second * 960))
            track.append(message.copy(time=tick - last))
            last = tick
        # a note left on would keep the synthesiser going for ever
        track += [mido.Message("note_off", channel=c, note=n) for c in range(16) for n in range(128)]
        with tempfile.TemporaryDirectory() as place:
            midi, wave = Path(place, "a.mid"), Path(place, "a.wav")
            mido.MidiFile(ticks_per_beat=480, tracks=[track]).save(midi)
            subprocess.run(
                ["fluidsynth", "-ni", "-q", "-g", "0.6", "-r", str(RATE), "-F", str(wave), str(font), str(midi)],
                check=True, capture_output=True, timeout=60, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            sound = soundfile.read(wave, dtype="float32", always_2d=True)[0].mean(axis=1)
        if len(sound) > 4 * RATE:
            self.save(name, sound[: int(seconds * RATE)])

    def drums(self, seconds: float) -> Sounding:
        step = 15.0 / self.rnd.choice([90, 100, 110, 120, 128, 140])
        pattern: list[tuple[int, int]] = []
        for place in range(16):
            if place % 8 == 0 or self.rnd.random() < 0.12:
                pattern.append((place, 36))
            if place % 8 == 4:
                pattern.append((place, self.rnd.choice([38, 39, 40])))
            if self.rnd.random() < 0.6:
                pattern.append((place, self.rnd.choice([42, 42, 42, 46, 51, 54])))
        hits: Sounding = []
        for bar in range(int(seconds / step / 16) + 1):
            for place, key in pattern:
                at = (bar * 16 + place) * step
                hits.append((at, mido.Message("note_on", channel=9, note=key, velocity=self.rnd.randint(60, 120))))
                hits.append((at + 0.1, mido.Message("note_off", channel=9, note=key)))
        return hits

    def songs(self, count: int, solos: int) -> None:
        """Excerpts of songs in random instrumentation; solos: single tracks on each program in turn."""
        paths = sorted((self.data / "pop909").glob("*/*.mid"))
        self.rnd.shuffle(paths)
        for n in range(count + solos):
            solo = n >= count
            midi = mido.MidiFile(paths[n % len(paths)])
            keep = self.rnd.choice([1, 1, 2, 3]) if solo else None
            for t, track in enumerate(midi.tracks):
                if keep is not None and t not in (0, min(keep, len(midi.tracks) - 1)):
                    track[:] = []
                for message in track:
                    if hasattr(message, "channel"):
                        message.channel = 0 if solo else min(t, 8)
            start, seconds = self.rnd.uniform(10, 60), 14.0 if solo else 30.0
            now, notes = 0.0, []
            for message in midi:
                now += message.time
                if message.type in ("note_on", "note_off") and start <= now < start + seconds:
                    notes.append((now - start, message))
            programs = {c: self.rnd.choice(self.rnd.choice(FAMILIES)) for c in range(9)}
            if solo:
                programs = {0: n * 67 % 120}
            elif self.rnd.random() < 0.5:
                notes += self.drums(seconds)
            self.render(f"{'sol' if solo else 'pop'}{n:03d}", notes, programs, FONTS[n % 2], seconds)

    def chorales(self, count: int) -> None:
        scores = json.loads((self.data / "jsb" / "jsb-chorales-16th.json").read_text())["train"]
        self.rnd.shuffle(scores)
        for n, score in enumerate(scores[:count]):
            step, notes = self.rnd.uniform(0.1, 0.22), []
            for voice in range(4):
                sounding = -1
                for place, chord in enumerate([*score, [-1] * 4]):
                    pitch, at = int(chord[voice]), place * step
                    if pitch != sounding and at < 28:
                        if sounding > 0:
                            notes.append((at - 0.01, mido.Message("note_off", channel=voice, note=sounding)))
                        if pitch > 0:
                            loud = self.rnd.randint(60, 110)
                            notes.append((at, mido.Message("note_on", channel=voice, note=pitch, velocity=loud)))
                        sounding = pitch
            family = self.rnd.choice(FAMILIES[2:])
            self.render(f"jsb{n:03d}", notes, {c: self.rnd.choice(family) for c in range(4)}, FONTS[n % 2], 30.0)

    def voices(self, count: int) -> None:
        for n in range(count):
            text = "".join(
                " ".join(self.rnd.choices(WORDS, k=self.rnd.randint(3, 10))) + self.rnd.choice([". ", ", ", "? "])
                for _ in range(9)
            )
            voice = LANGUAGES[n % len(LANGUAGES)] + self.rnd.choice(VOICES)
            with tempfile.NamedTemporaryFile(suffix=".wav") as wave:
                pitch, speed = str(self.rnd.randint(15, 85)), str(self.rnd.randint(110, 220))
                subprocess.run(["espeak-ng", "-v", voice, "-p", pitch, "-s", speed, "-w", wave.name, text], check=True)
                sound, rate = soundfile.read(wave.name, dtype="float32")
            sound = soxr.resample(sound, rate, RATE)[: 25 * RATE]
            if self.rnd.random() < 0.5:
                length = int(RATE * self.rnd.uniform(0.1, 0.5))
                tail = self.rng.standard_normal(length) * np.exp(-np.arange(length) / length * 6.9)
                tail *= self.rnd.uniform(0.05, 0.5) / np.sqrt((tail**2).sum())
                tail[0] += 1
                full = len(sound) + length
                sound = np.fft.irfft(np.fft.rfft(sound, full) * np.fft.rfft(tail, full))[: len(sound)]
            self.save(f"spk{n:03d}", sound)

    def patterns(self, count: int) -> None:
        """One-shots on a sixteenth grid."""
        shots: dict[str, list[np.ndarray]] = {}
        for path in sorted((self.data / "sonicpi").glob("*.flac")):
            if not path.stem.startswith("loop_"):
                samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
                mono = soxr.resample(samples.mean(axis=1), rate, RATE)
                shots.setdefault(path.stem.split("_")[0], []).append(mono)

        def pick(kinds: Iterable[str]) -> np.ndarray:
            return self.rnd.choice(shots[self.rnd.choice([k for k in kinds if k in shots])])

        for n in range(count):
            step = 15.0 / self.rnd.uniform(80, 170)
            bar = int(16 * step * RATE)
            bars = max(2, int(20 / (16 * step)))
            sound = np.zeros(bar * bars + 8 * RATE, np.float32)
            parts = [(pick(STRUCK), self.rnd.uniform(0.2, 1), 0.4) for _ in range(self.rnd.randint(2, 5))]
            parts += [(pick(HELD), self.rnd.uniform(0.2, 0.8), 0.08) for _ in range(self.rnd.randint(0, 2))]
            for shot, gain, density in parts:
                piece = soxr.resample(shot, RATE, int(RATE * 2 ** self.rnd.uniform(-0.5, 0.4)))[: 6 * RATE]
                places = [p for p in range(16) if self.rnd.random() < density] or [0]
                for at in (b * bar + int(p * step * RATE) for b in range(bars) for p in places):
                    heard = piece[: int(self.rnd.choice([6, 2, 0.5]) * RATE)].copy()
                    fade = min(400, len(heard))
                    heard[-fade:] *= np.linspace(1, 0, fade)
                    sound[at : at + len(heard)] += heard * gain * self.rnd.uniform(0.6, 1)
            self.save(f"seq{n:03d}", sound[: bar * bars])

    def tones(self, count: int) -> None:
        """Melodies of sums of harmonics, and of frequency modulation."""
        frames = RATE * 12
        t = np.arange(frames) / RATE
        for n in range(count):
            sound = np.zeros(frames)
            for _ in range(self.rnd.randint(1, 4)):
                root, beat, decay = (
                    55 * 2 ** self.rnd.uniform(0, 5),
                    self.rnd.uniform(0.1, 1.2),
                    self.rnd.choice([0.1, 0.5, 3]),
                )
                pitch, loud, at = np.zeros(frames), np.zeros(frames), 0
                while at < frames:
                    end = min(frames, at + int(RATE * beat * self.rnd.choice([0.5, 1, 1, 2])))
                    own = np.arange(end - at)
                    pitch[at:end] = root * 2 ** (self.rnd.choice([0, 2, 4, 5, 7, 9, 12]) / 12)
                    rise = np.minimum(1, own / (RATE * self.rnd.choice([0.003, 0.02, 0.1])))
                    last = np.minimum(1, (end - at - own) / 600)
                    loud[at:end] = rise * last * np.exp(-own / RATE / decay) * self.rnd.choice([0, 0.5, 1, 1])
                    at = end
                wobble = self.rnd.choice([0, 0.005, 0.02]) * np.sin(2 * np.pi * self.rnd.uniform(4, 7) * t)
                phase = 2 * np.pi * np.cumsum(pitch * (1 + wobble)) / RATE
                if self.rnd.random() < 0.2:
                    wave = np.sin(
                        phase + self.rnd.uniform(0.5, 6) * np.sin(phase * self.rnd.choice([0.5, 1, 1.41, 2, 3]))
                    )
                else:
                    wave, slope = np.zeros(frames), self.rnd.uniform(0.3, 2.2)
                    for h in range(1, self.rnd.choice([2, 8, 20])):
                        wave += np.sin(phase * h + self.rnd.uniform(0, 6)) * h**-slope * (pitch * h < 20000)
                    if self.rnd.random() < 0.25:
                        wave = np.tanh(wave * self.rnd.uniform(1, 8))
                sound += wave * loud * self.rnd.uniform(0.2, 1)
            self.save(f"syn{n:03d}", sound)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("corpus", type=Path)
    options = parser.parse_args()
    corpus = Corpus(options.data, options.corpus)
    steps: list[Callable[[], None]] = [
        lambda: corpus.songs(90, 190),
        lambda: corpus.chorales(50),
        lambda: corpus.voices(90),
        lambda: corpus.patterns(130),
        lambda: corpus.tones(60),
    ]
    for step in steps:
        step()
        print(len(list(options.corpus.glob("*.npy"))), "sounds", flush=True)


if __name__ == "__main__":
    main()
