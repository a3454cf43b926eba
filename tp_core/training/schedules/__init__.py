"""Learning-rate schedules as pure functions of the step. Torch-free.

A schedule holds no state: a step's factor depends on nothing but the step, so resuming needs no checkpoint.
Where transformers has a schedule of the same kind, the factors are equal to its: update number ``step`` in a
warm-up of ``w`` steps has the factor ``step / w``, the first update zero.
"""
