"""What clocks the graph live: a software clock, JACK, PortAudio. A file is `antiphon.offline.runner`."""
