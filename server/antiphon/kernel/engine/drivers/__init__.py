"""Drivers, which clock the graph live: a software clock, JACK, PortAudio. For files see `antiphon.offline.player`."""
