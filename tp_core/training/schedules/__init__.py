"""Learning-rate schedules as pure functions of the step. Torch-free.

A schedule has no state: the factor only depends on the step, so checkpoints need not store it. If transformers has a
schedule of the same kind, the factors are equal: update number ``step`` in a warm-up of ``w`` steps has the factor
``step / w``, and the first update has the factor 0.
"""
