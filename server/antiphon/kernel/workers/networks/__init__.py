"""Streaming networks in workers: in numpy, in torch on the CPU, on an NVIDIA card."""
