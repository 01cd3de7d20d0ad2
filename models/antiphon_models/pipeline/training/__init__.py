"""Steps train, evaluate and deploy: one small classifier, trained with several frameworks from the same shards.

Frameworks are extras, each imported in a process of its own and there alone.
"""
