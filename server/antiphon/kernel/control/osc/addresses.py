"""All fixed OSC addresses, as the handlers' modules declare them."""

from antiphon.kernel.control.osc.arguments import Address
from antiphon.kernel.control.osc.handlers import graph, learn, live, server, sets, time

_HERE = [one for room in (server, graph, sets, learn, time, live) for one in vars(room).values()]
_LISTED = [one if isinstance(one, tuple) else (one,) for one in _HERE]
ADDRESSES = tuple(one for some in _LISTED for one in some if isinstance(one, Address))
