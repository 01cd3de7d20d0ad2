"""The MIDI clock: followed, led, and the beat between its ticks."""
