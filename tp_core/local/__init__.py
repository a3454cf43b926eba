"""Python files beside a spec: ``my_file:MyConfig``, and what such a file imports of its own folder. Torch-free.

A file is run under a name of its own below this package, ``tp_core.local.FOLDER.my_file``. ``FOLDER`` stands for a
folder and for the content that its files had when they were loaded (:class:`~tp_core.local.namespace.Namespace`). So
files of one name in several folders are several modules, a file that was edited is loaded anew, and a process that
unpickles a class finds it by the name of its module.
"""

from __future__ import annotations

import sys

from tp_core.local.finder import Finder
from tp_core.local.namespace import LOCAL, Namespace, adopt, namespace_of, namespaces

# Behind the others, which know no module of these names.
sys.meta_path.append(Finder())

__all__ = ["LOCAL", "Namespace", "adopt", "namespace_of", "namespaces"]
