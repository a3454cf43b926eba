"""Ports of recordings. Torch-free."""

from tp_core.options.ports import Port

#: Filter banks (batch, frames, bins).
INPUT_FEATURES = Port.input("input_features")

#: Waveforms (batch, samples).
INPUT_VALUES = Port.input("input_values")
