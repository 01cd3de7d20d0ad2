"""MIDI clock: follower, leader, and tick timing."""
