"""Commands beside a server that runs: they ask it, tell it, show it, or perform by it."""
