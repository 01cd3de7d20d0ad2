"""Machine-code loop of the engine: plays block after block until one needs the interpreter."""
