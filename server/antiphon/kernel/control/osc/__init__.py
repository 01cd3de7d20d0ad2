"""OSC: from packets to handlers, and the table of all addresses."""
