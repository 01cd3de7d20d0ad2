"""MQTT: what is set by it and what is published.

May import `session`, `wire` and `io`.
"""
