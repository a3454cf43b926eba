"""Python files beside a spec: ``my_file:MyConfig``, and the files of the same folder that it imports. Torch-free.

A file runs as a module below this package, ``tp_core.local.FOLDER.my_file``. ``FOLDER`` identifies a folder and the
content of its files when they were loaded (:class:`~tp_core.local.namespace.Namespace`). Files of the same name in
several folders are therefore different modules, an edited file is loaded again, and a process that unpickles a class
finds it by its module's name.
"""

from __future__ import annotations

import sys

from tp_core.local.finder import Finder
from tp_core.local.namespace import LOCAL, Namespace, adopt, namespace_of, namespaces

# Appended after the other finders, which find no module of these names.
sys.meta_path.append(Finder())

__all__ = ["LOCAL", "Namespace", "adopt", "namespace_of", "namespaces"]
