"""Connections: subscribers, the messages sent to them, and approvals."""
