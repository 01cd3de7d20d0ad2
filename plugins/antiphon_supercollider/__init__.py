"""SuperCollider as a synth backend: scsynth in processes of its own, its sound brought back over JACK.

Import `antiphon.synth.sc.backend` for `SuperCollider`; nothing heavy is imported here.
"""
