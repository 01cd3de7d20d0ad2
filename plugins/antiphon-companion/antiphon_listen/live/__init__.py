"""Node `listen`: the file analyses on a sliding window of a stream."""
