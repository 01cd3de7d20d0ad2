"""The inputs of `antiphon play` without a microphone: loops of eight bars at 90 bpm, without a seam.

docs/sounds.md says how they were made.
"""

from pathlib import Path

HUM = Path(__file__).with_name("hum.flac")
"""For the patch `answer`: one voice in A minor; bars 1, 2, 5 and 6 are hummed, the others sung with words."""
BAND = Path(__file__).with_name("band.flac")
"""For other patches: plucked strings, bass and hats over hiss and mains hum, work for a denoiser."""
