"""A voice plays an instrument: rendered and measured; and an instrument learned from recordings made here."""

import numpy as np
import pytest
import soundfile

from antiphon.api import FileError, StreamSpec
from antiphon.testing import run_processor
from antiphon_models.learning.user_commands import command
from antiphon_transfer.instrument import names
from antiphon_transfer.processor import Transfer

RATE = 48000


def voice(seconds=1.2, number=57.0, slope=1.5, swell=0.0):
    """A note with vibrato, its harmonics falling by a power `slope`."""
    t = np.arange(int(RATE * seconds)) / RATE
    pitch = number + 0.3 * np.sin(2 * np.pi * 5.0 * t)
    phase = 2 * np.pi * np.cumsum(440.0 * 2 ** ((pitch - 69.0) / 12.0)) / RATE
    x = sum(np.sin(k * phase) / k**slope for k in range(1, 12))
    x = x * np.minimum(1, t * 20) * np.minimum(1, (seconds - t) * 10) * (1.0 + swell * t)
    return (0.1 * x).astype(np.float32)


def through(sound, channels=1, **values):
    processor, spec = Transfer(), StreamSpec(RATE, 512, channels)
    padded = np.pad(np.atleast_2d(sound), ((0, 0), (0, 4096)))
    made = run_processor(processor, spec, padded, {"mode": "instrument", **values})
    return made[:, processor.latency :][:, : sound.shape[-1]], processor


def fundamental(sound, number):
    """MIDI number of the highest peak near that of `number`, whose vibrato leaves the mean."""
    n = 1 << 19
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), n))
    hertz = np.fft.rfftfreq(n, 1 / RATE)
    near = np.abs(69 + 12 * np.log2(np.maximum(hertz, 1) / 440) - number) < 1
    return 69 + 12 * np.log2((hertz * spectrum**2)[near].sum() / (spectrum**2)[near].sum() / 440)


@pytest.mark.parametrize("instrument", ["cello", "flute"])
def test_an_instrument_plays_the_voices_notes_at_its_level_in_time(instrument):
    sound = voice(number=62.0)
    made, processor = through(sound, instrument=instrument)
    assert processor.latency <= 0.060 * RATE
    middle = slice(RATE // 4, RATE)
    assert abs(fundamental(made[0, middle], 62.0) - 62.0) < 0.2
    assert 20 * np.log10(made[0, middle].std() / sound[middle].std()) == pytest.approx(0.0, abs=1.5)
    # what has begun and ended in the voice has in the instrument
    loud = np.flatnonzero(np.abs(made[0]) > 0.25 * np.abs(made).max())
    assert loud[0] / RATE < 0.06
    assert loud[-1] / RATE > 1.0


def test_two_instruments_differ_and_the_voices_own_colour_does_not_pass():
    one, _ = through(voice(slope=0.5), instrument="trumpet")
    other, _ = through(voice(slope=2.5), instrument="trumpet")
    flute, _ = through(voice(slope=0.5), instrument="flute")

    def shape(sound):
        power = np.abs(np.fft.rfft(sound[0, 12000:44000] * np.hanning(32000)))
        bands = np.log(np.add.reduceat(power**2, np.arange(1, 6000, 150)) + 1e-9)
        return bands - bands.mean()

    assert np.abs(shape(one) - shape(other)).mean() < 0.5 * np.abs(shape(one) - shape(flute)).mean()


def test_amount_0_gives_the_voice_back():
    sound = np.stack([voice(0.3), voice(0.3, 64.0)])
    np.testing.assert_array_equal(through(sound, 2, amount=0.0)[0], sound)


def test_six_instruments_ship_and_another_is_refused_by_name():
    assert {"cello", "clarinet", "flute", "saxophone", "trumpet", "violin"} <= set(names())
    with pytest.raises(FileError, match=r"no instrument 'kazoo'.*cello"):
        through(voice(0.1), instrument="kazoo")


def test_recordings_become_an_instrument_that_a_voice_plays(tmp_path):
    pytest.importorskip("torch")
    folder = tmp_path / "My Horn"
    folder.mkdir()
    notes = [voice(1.0, number, 0.4, swell=1.0) for number in range(55, 77)]
    soundfile.write(folder / "notes.wav", np.concatenate(notes), RATE)
    words = ("train", "timbre", folder, "--work", tmp_path, "--out", tmp_path / "out", "--steps", "60")
    command(*words)
    file = tmp_path / "out" / "timbre-my-horn.safetensors"
    assert file.stat().st_size < 500_000
    made, _ = through(voice(0.6, 60.0, slope=3.0), decoder=str(file))
    spectrum = np.abs(np.fft.rfft(made[0, 9600:24000] * np.hanning(14400)))
    partials = [spectrum[round(k * 261.6 * 0.3) - 3 : round(k * 261.6 * 0.3) + 4].max() for k in (1, 3)]
    # the voice's third partial is 29 dB below its first, the recordings' 4
    assert 20 * np.log10(partials[1] / partials[0]) > -15
    with pytest.raises(Exception, match="name a folder of recordings"):
        command("train", "timbre", "--work", tmp_path)


def test_a_file_needs_no_reference_in_this_mode(tmp_path):
    soundfile.write(tmp_path / "voice.wav", voice(0.5), RATE)
    command("run", "transfer", tmp_path / "voice.wav", tmp_path / "out.wav", "-p", "mode=instrument")
    assert len(soundfile.read(tmp_path / "out.wav")[0]) == RATE // 2
