"""tp-audio needs neither the other plugins nor their libraries."""

from __future__ import annotations

import math
import subprocess
import sys

_SCRIPT = """
import importlib, pkgutil, sys
for name in ("torchvision", "tp_vision", "tp_crossmodal", "tp_text", "tokenizers", "sentencepiece", "transformers"):
    sys.modules[name] = None  # importing it is an error
import tp_audio
for module in pkgutil.walk_packages(tp_audio.__path__, "tp_audio."):
    importlib.import_module(module.name)
from tp_core.testing import random_batch
from tp_core import build_model, load_spec
sizes = ["model.hidden_size=16", "model.encoder.conformer.num_layers=1", "model.vocab_size=11"]
model = build_model(load_spec("conformer-ctc-small", sizes))
print(float(model(random_batch(model, [40, 30])).loss))
"""


def test_every_module_is_imported_and_a_conformer_runs_without_them() -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert math.isfinite(float(done.stdout))
