"""The engine's loop in machine code: block after block, as long as nothing needs the interpreter."""
