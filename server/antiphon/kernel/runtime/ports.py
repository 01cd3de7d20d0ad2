"""Default ports of a server."""

OSC_PORT = 4400
"""Default port of OSC."""
HTTP_PORT = 4401
