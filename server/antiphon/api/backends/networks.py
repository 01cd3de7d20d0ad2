"""The torch side of a model: the network's base class. Imports torch: only for workers, training and tests."""

from antiphon.networks.cuda import card as open_card
from antiphon.networks.torch_network import State, StreamingModel, fill as fill_network
