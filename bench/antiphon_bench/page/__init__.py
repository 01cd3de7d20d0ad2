"""`bench page`: the page in a browser, from the engine to pixels and sound, and what browsers cost the server."""
