"""Parameter groups and optimizers.

Weight decay is decoupled from the gradient (Loshchilov & Hutter, 2019) and works in the same way in all optimizers:
each update subtracts ``lr · weight_decay`` times the weight, with the scheduled learning rate of the weight's group.
"""
