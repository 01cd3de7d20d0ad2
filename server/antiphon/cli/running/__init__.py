"""Commands that ask or tell a running server."""
