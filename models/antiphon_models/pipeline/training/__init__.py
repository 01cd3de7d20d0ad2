"""Steps train, evaluate and deploy: one small classifier, trained with several frameworks from the same shards.

Frameworks are extras; each is imported only in its own process.
"""
