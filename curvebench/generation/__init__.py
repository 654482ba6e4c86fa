"""Making labelled loss curves: what is to be trained, training it, and what would have helped."""
