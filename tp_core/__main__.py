"""``python -m tp_core`` is the ``tp`` command."""

from __future__ import annotations

import sys

from tp_core.cli.start import run

if __name__ == "__main__":
    sys.exit(run())
