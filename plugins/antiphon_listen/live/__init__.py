"""The node `listen`: the analyses of a stream, by the code that analyses files, on a window of what was played last."""
