"""How popular a sound is with a made audience: the audience, its songs, the training and the evaluation."""
