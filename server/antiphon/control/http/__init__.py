"""HTTP: status, OSCQuery, surfaces and their approval, the page.

May import `control.lan`, `control.osc.addresses`, `session`, `graph` and `io`.
"""
