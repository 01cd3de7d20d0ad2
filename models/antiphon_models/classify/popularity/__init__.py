"""How popular a sound is with a simulated audience: the audience, its songs, the training and the evaluation."""
