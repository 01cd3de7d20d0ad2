"""The HTTP API: what it answers as JSON, jobs on files, and its OpenAPI document."""
