"""OSCQuery: the address space as JSON, LISTEN over WebSocket, and Zeroconf."""
