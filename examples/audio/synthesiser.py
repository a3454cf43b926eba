"""The speech synthesiser espeak-ng, as a program or as the library in the package espeakng-loader."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]


class Synthesiser:
    """Base class of speech synthesisers.

    Attributes:
        rate: sampling rate in Hz.
    """

    rate: int

    def say(self, text: str, voice: str, speed: int, pitch: int) -> Samples:
        """Samples of the spoken text.

        Args:
            text: the text.
            voice: language and variant, such as ``en-us+f3``.
            speed: words per minute, about 80 to 300.
            pitch: 0 to 99.
        """
        raise NotImplementedError


class Program(Synthesiser):
    """The program ``espeak-ng`` (Debian: apt install espeak-ng)."""

    rate = 22050

    def __init__(self, path: str) -> None:
        self.path = path

    def say(self, text: str, voice: str, speed: int, pitch: int) -> Samples:
        import soundfile

        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "said.wav"
            options = ["-v", voice, "-s", str(speed), "-p", str(pitch), "-w", str(file)]
            subprocess.run([self.path, *options, text], check=True)
            samples: Samples
            samples, self.rate = soundfile.read(file, dtype="int16")
        return samples


class Library(Synthesiser):
    """The library libespeak-ng, called through its C interface."""

    _SYNCHRONOUS, _RATE, _PITCH, _UTF8 = 2, 1, 3, 1

    def __init__(self, library: str, data: str) -> None:
        self._espeak: Any = ctypes.CDLL(library)
        self.rate = self._espeak.espeak_Initialize(self._SYNCHRONOUS, 0, data.encode(), 0)
        if self.rate <= 0:
            sys.exit(f"{library}: espeak-ng does not start with the data in {data}")
        self._parts: list[Samples] = []
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
        self._callback = kind(self._receive)  # keeps a reference, because the library calls it later
        self._espeak.espeak_SetSynthCallback(self._callback)

    def _receive(self, samples: Any, count: int, _: Any) -> int:
        if samples and count > 0:
            self._parts.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    def say(self, text: str, voice: str, speed: int, pitch: int) -> Samples:
        if self._espeak.espeak_SetVoiceByName(voice.encode()):
            sys.exit(f"espeak-ng has no voice '{voice}'")
        self._espeak.espeak_SetParameter(self._RATE, speed, 0)
        self._espeak.espeak_SetParameter(self._PITCH, pitch, 0)
        self._parts, encoded = [], text.encode() + b"\0"
        self._espeak.espeak_Synth(encoded, len(encoded), 0, 0, 0, self._UTF8, None, None)
        return np.concatenate(self._parts)


def find_synthesiser() -> Synthesiser:
    """The synthesiser on this machine. If there is none, the program exits with installation instructions."""
    program = shutil.which("espeak-ng")
    if program is not None:
        return Program(program)
    try:
        import espeakng_loader  # type: ignore[import-not-found]
    except ImportError:
        sys.exit("no speech synthesiser: pip install espeakng-loader, or install your system's espeak-ng")
    return Library(espeakng_loader.get_library_path(), espeakng_loader.get_data_path())
