"""The torch side of a model: the network's base class. Imports torch: only for workers, training and tests."""

from typing import TYPE_CHECKING

import antiphon.api._former as _former
from antiphon.networks.torch_network import State, StreamingModel, fill as fill_network

if not TYPE_CHECKING:  # a type checker would find every name
    __getattr__ = _former.refuse(__name__)
