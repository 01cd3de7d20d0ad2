"""The kernel: OSC in, sound out, alone as `python -m antiphon.kernel`. docs/kernel.md walks through it."""
