"""The benches of the backend `supercollider`."""
