"""Nodes whose notes a synth backend renders in a worker: their base class, expression of notes, SynthDef controls."""
