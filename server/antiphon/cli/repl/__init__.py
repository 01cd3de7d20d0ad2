"""`antiphon repl`: one line, one message; completion and help from the declarations of the running server."""
