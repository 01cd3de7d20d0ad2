"""Commands that use a running server: they query it, command it, show it, or perform with it."""
