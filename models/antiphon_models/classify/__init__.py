"""The classifiers that ship: a room for each, on one network, one recipe and shared material.

`genre`, `instruments` and `tags` may import `network`, `recipe` and `clips`, and never each other.
"""
