"""The benches of the backend `pyo`."""
