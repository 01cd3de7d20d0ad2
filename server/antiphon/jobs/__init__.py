"""File jobs of HTTP clients: the files, the jobs and their table, and the processes that do them.

May import `offline` and, of the kernel, `graph`, `io` and below; a job itself runs `antiphon run` or `antiphon render`.
"""
