"""The torch side of a model: the network's base class. Imports torch, so it is for workers, training, tests alone."""

from antiphon.networks.cuda import card as open_card
from antiphon.networks.streaming import State, StreamingModel
from antiphon.networks.torch_network import fill as fill_network
