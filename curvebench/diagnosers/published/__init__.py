"""Rules that others publish for reading a training run, read as diagnosers: one file for each source.

Each file has the published thresholds as constants, and a dictionary `MAPPING` from what the rules find to the nearest
diagnosis, with the reason. The rules are written anew from their descriptions. What a rule needs and no track
shows (weights, activations, gradients of a layer, accuracy) is named in the docstring, with what stands in for it or
that it was left out. A recorded point counts as a step of the
original; where that works by epochs, a curve is cut into at most `finding.N_EPOCHS` of them.
"""
