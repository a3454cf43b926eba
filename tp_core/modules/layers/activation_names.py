"""Names of activation functions. Torch-free."""

from typing import Literal

Activation = Literal["gelu", "gelu_tanh", "quick_gelu", "relu", "relu_squared", "silu", "tanh", "linear"]
