"""The classifiers that ship: a room for each, on one network, one recipe and shared material.

`genre`, `instruments`, `tags` and `popularity` may import `network`, `recipe` and `clips`, and never each other.
"""
