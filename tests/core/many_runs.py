"""Trains several runs in one process, one after the other: ``many_runs.py FILE``, JSON of run → overrides."""

from __future__ import annotations

import json
import sys

from tp_core import load_spec
from tp_core.training.run import train

if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        wanted = json.load(file)
    for name, (spec, *overrides) in wanted.items():
        train(load_spec(spec, overrides), name)
