"""Ports of pictures. Torch-free."""

from tp_core.options.ports import Port

#: Pictures (batch, channels, height, width).
PIXEL_VALUES = Port.input("pixel_values")

#: Place of each patch of a picture in the sequence, (rows, columns).
PATCHES = Port.published("patches")
