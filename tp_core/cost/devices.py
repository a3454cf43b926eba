"""Devices that a model may be trained on: memory, speed, and the links between them. Torch-free."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tp_core.errors import TPError
from tp_core.suggest import did_you_mean

_GB = 10**9


@dataclass(frozen=True)
class Device:
    """A kind of device.

    Attributes:
        memory: bytes.
        peak: dense peak in FLOP/s by precision.
        inside: bytes per second to and from the other devices of a machine.
        between: bytes per second to and from devices of other machines.
    """

    name: str
    memory: int
    peak: dict[str, float]
    inside: float
    between: float


_HOPPER = {"bf16": 989e12, "fp16": 989e12, "fp32": 67e12}
_AMPERE = {"bf16": 312e12, "fp16": 312e12, "fp32": 19.5e12}

#: Known devices, from data sheets: NVLink in one direction, and one network adapter for each device.
DEVICES = {
    device.name: device
    for device in (
        Device("H200", 141 * _GB, _HOPPER, 450e9, 50e9),
        Device("H100", 80 * _GB, _HOPPER, 450e9, 50e9),
        Device("A100-80GB", 80 * _GB, _AMPERE, 300e9, 25e9),
        Device("A100-40GB", 40 * _GB, _AMPERE, 300e9, 25e9),
        Device("L40S", 48 * _GB, {"bf16": 362e12, "fp16": 362e12, "fp32": 91.6e12}, 32e9, 12.5e9),
        Device("V100-32GB", 32 * _GB, {"fp16": 125e12, "fp32": 15.7e12}, 150e9, 12.5e9),
        Device("V100-16GB", 16 * _GB, {"fp16": 125e12, "fp32": 15.7e12}, 150e9, 12.5e9),
    )
}

#: The device that is meant by its memory alone.
_BY_MEMORY = {16: "V100-16GB", 32: "V100-32GB", 40: "A100-40GB", 48: "L40S", 80: "A100-80GB", 141: "H200"}


@dataclass(frozen=True)
class Cluster:
    """Devices of one kind, on machines with the same number of them.

    Attributes:
        count: number of devices.
        per_machine: number of devices of a machine.
        efficiency: the share of the peak that training reaches while it computes.
    """

    device: Device
    count: int
    per_machine: int = 8
    efficiency: float = 0.4

    @property
    def machines(self) -> int:
        return -(-self.count // self.per_machine)


def cluster_of(text: str) -> Cluster:
    """The devices of ``COUNTxMEMORY`` or ``COUNTxNAME``, such as ``64x80GB`` or ``64xH100``.

    Raises:
        TPError: the text has another form, or the device is unknown.
    """
    found = re.fullmatch(r"(\d+)\s*[x×]\s*(.+)", text.strip())
    known = f"known are {', '.join(DEVICES)}, and the memories {', '.join(f'{size}GB' for size in _BY_MEMORY)}"
    if found is None or not int(found[1]):
        raise TPError(f"--devices {text}: expected a number and a device, such as 64x80GB or 8xH100; {known}")
    count, name = int(found[1]), found[2]
    memory = re.fullmatch(r"(\d+)\s*(GB|G)", name, re.IGNORECASE)
    if memory is not None:
        if int(memory[1]) not in _BY_MEMORY:
            raise TPError(f"--devices {text}: there is no known device with {memory[1]} GB; {known}")
        name = _BY_MEMORY[int(memory[1])]
    device = next((each for each in DEVICES.values() if each.name.lower() == name.lower()), None)
    if device is None:
        near = did_you_mean(name, DEVICES) or known
        raise TPError(f"--devices {text}: unknown device '{name}'; {near}")
    return Cluster(device, count, min(8, count))
