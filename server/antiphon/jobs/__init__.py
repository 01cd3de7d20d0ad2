"""File jobs of HTTP clients: files, job table, and job processes.

May import `offline` and, of the kernel, `graph`, `io` and below; a job itself runs `antiphon run` or `antiphon render`.
"""
