"""HTTP API: JSON answers, jobs on files, and the OpenAPI document."""
