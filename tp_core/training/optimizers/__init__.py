"""Parameter groups and optimizers.

Weight decay is decoupled from the gradient (Loshchilov & Hutter, 2019) and means the same in all of them: each update
takes ``lr · weight_decay`` of a weight away, with the learning rate that the schedule gives the weight's group.
"""
