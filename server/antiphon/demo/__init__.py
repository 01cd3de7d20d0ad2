"""The inputs of `antiphon play` without a microphone: seamless loops of eight bars at 90 bpm.

docs/sounds.md says how they were made.
"""

from pathlib import Path

HUM = Path(__file__).with_name("hum.flac")
"""For the patch `answer`: a monophonic voice in A minor; bars 1, 2, 5 and 6 are hummed, the others sung with words."""
BAND = Path(__file__).with_name("band.flac")
"""For other patches: plucked strings, bass and hats with hiss and mains hum, for a denoiser to remove."""
