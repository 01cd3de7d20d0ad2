"""Several notes at once: the network of Basic Pitch, over a whole file and live."""
