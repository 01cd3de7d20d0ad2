"""Trained networks in numpy, for models that play without torch: the contract, and layers equal to torch's."""

from __future__ import annotations

from antiphon.kernel.workers.networks.array_layers import BandedSums, Conv1d, Gru, Linear, SiluLinear, gelu, sigmoid
from antiphon.kernel.workers.networks.array_network import ArrayNetwork, load as load_arrays
from antiphon.kernel.workers.networks.array_weights import Weights, find_array
