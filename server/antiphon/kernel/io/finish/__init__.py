"""How a sound file is finished: what is asked for, and what does it."""
