"""Loading of a trained model's spec for inference. Torch-free."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tp_core.local.trust import trusted
from tp_core.spec.trained.use import using

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec


def load_for_use(file: str | os.PathLike[str]) -> Spec:
    """Load the spec of a trained model for inference, without hooks and loggers, which only training needs.

    Raises:
        SpecError: the spec cannot be loaded, or names code that is not trusted.
    """
    from tp_core.spec.load import load_spec

    with using():
        return load_spec(file, ["train.hooks=null", "train.loggers=null"], trust_code=trusted())
