"""File jobs of HTTP clients: the files, the jobs and their table, and the processes that do them.

May import `graph`, `contract`, `runtime` and `errors`; a job itself runs `antiphon run` or `antiphon render`.
"""
