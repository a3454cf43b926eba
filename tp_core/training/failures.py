"""How a run that fails says so: one process speaks, and what is left on the disk is told as it is."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING

from tp_core.data.loader import is_lost_worker, lost_worker
from tp_core.errors import EndedElsewhere, TPError, out_of_memory
from tp_core.training.strategies import Strategy

if TYPE_CHECKING:
    from tp_core.training.trainer import Trainer

#: What the system may refuse for reasons that are the user's to mend.
_SYSTEM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}


def as_told(error: BaseException, folder: Path, strategy: Strategy) -> BaseException:
    """The error as the user is to see it: of several processes one speaks, and a full disk is no bug of ours."""
    lost = next((each for each in (error, error.__cause__) if each is not None and is_lost_worker(each)), None)
    if isinstance(error, OSError) and error.errno in _SYSTEM:
        error = TPError(f"{error.filename or folder}: cannot be written: {error.strerror}")
    elif lost is not None:
        error = lost_worker(lost)
    elif out_of_memory(error):
        error = TPError(
            f"the memory is full ({str(error).partition(chr(10))[0] or type(error).__name__}); a larger "
            "train.accumulate, train.activation_checkpointing or train.precision: bf16 may help"
        )
    elif strategy.lost(error):
        error = TPError("the connection to another process of the run was lost")
    if isinstance(error, TPError) and not isinstance(error, EndedElsewhere) and not strategy.first_to_fail():
        return EndedElsewhere(str(error))
    return error


def remains(trainer: Trainer, error: BaseException) -> str:
    """The state of the disk after an error, and how the run goes on; empty where the error says so itself."""
    if trainer.saved is None:
        return f"{trainer.run}: nothing is saved yet; --resume starts the run from the beginning"
    if isinstance(error, TPError) and trainer.saved.name in str(error):
        return ""
    return f"{trainer.saved}: saved; --resume goes on from there"
