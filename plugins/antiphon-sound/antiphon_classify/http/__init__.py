"""Classifiers for clients: low-priority processes, one sound at a time each, and their queue.

The web process loads neither numpy nor decoders; a failing sound or network must end neither it nor the audio.
"""
