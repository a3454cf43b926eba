"""Error reports of failed runs. Only one process reports; the message includes what is saved on disk."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING

from tp_core.data.sampling.loader import is_lost_worker, lost_worker
from tp_core.errors import PeerFailedError, TPError, out_of_memory, system_error
from tp_core.packages.plugin_errors import PluginError, plugin_error
from tp_core.processes.group import ProcessGroup

if TYPE_CHECKING:
    from tp_core.training.trainer import Trainer

#: System errors for a full or read-only disk.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}


def user_error(error: BaseException, folder: Path, processes: ProcessGroup) -> BaseException:
    """The error to show to the user. Only the first process that failed reports; a full disk is not a bug of ours."""
    lost = next((each for each in (error, error.__cause__) if each is not None and is_lost_worker(each)), None)
    plugins = isinstance(error, OSError) and plugin_error(error) is not None
    if isinstance(error, OSError) and not plugins and error.errno in _FULL:
        error = TPError(f"{error.filename or folder}: cannot be written: {error.strerror}")
    elif isinstance(error, OSError) and not plugins:
        error = system_error(error, folder)
    elif lost is not None:
        error = lost_worker(lost)
    elif out_of_memory(error):
        error = TPError(
            f"the memory is full ({str(error).partition(chr(10))[0] or type(error).__name__}); a larger "
            "train.accumulate, train.activation_checkpointing or train.precision: bf16 may help"
        )
    elif late := processes.timeout_message(error):
        error = TPError(late)
    elif processes.is_peer_loss(error):
        error = TPError("the connection to another process of the run was lost")
    # Callers from Python see a plugin's own exception; the command converts it to a message.
    told = isinstance(error, TPError) or plugin_error(error) is not None
    if told and not isinstance(error, PeerFailedError) and not processes.first_to_fail():
        return PeerFailedError(str(error))
    return error


def keep_traceback(trainer: Trainer, error: BaseException) -> str:
    """Write the traceback of a plugin's exception to the run's folder; returns a sentence about it, or ''."""
    told = error if isinstance(error, PluginError) else plugin_error(error)
    if told is None:
        return ""
    file = trainer.run / "traceback.txt"
    try:
        file.write_text(told.trace, encoding="utf-8", errors="backslashreplace")
    except OSError:
        return ""
    return f"{file}: the traceback"


def remains(trainer: Trainer, error: BaseException) -> str:
    """A description of what is saved after an error and how to continue; empty if the error already says it."""
    if trainer.checkpoints.newest is None:
        return f"{trainer.run}: nothing is saved yet; --resume starts the run from the beginning"
    if isinstance(error, TPError) and trainer.checkpoints.newest.name in str(error):
        return ""
    return f"{trainer.checkpoints.newest}: saved; --resume goes on from there"
