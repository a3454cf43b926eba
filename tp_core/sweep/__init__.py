"""Several runs of one spec: combinations of settings, seeds and folds. Torch-free, except for ``out_of_fold``."""
