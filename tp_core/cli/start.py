"""The start of the ``tp`` command, which needs only the standard library.

It prints a clear message even if a library that every command needs is missing or broken.
"""

from __future__ import annotations

import sys
from typing import NoReturn

from tp_core.packages.libraries import broken_library


def run() -> NoReturn:
    """Run the command line and exit."""
    try:
        from tp_core.cli.main import run as main
    except Exception as error:
        message = broken_library(error)
        if not message or "--traceback" in sys.argv:
            raise
        print(f"error: {message}", file=sys.stderr)
        sys.exit(2)
    main()
