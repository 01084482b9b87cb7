"""The standard catalogue, its generator, and the hand-kept files it is made from."""
