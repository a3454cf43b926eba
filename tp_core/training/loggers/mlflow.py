"""MLflow logger."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from tp_core.errors import TPError
from tp_core.training.loggers.base import LoggedRun, Logger
from tp_core.training.loggers.kept_id import kept_id

if TYPE_CHECKING:
    from tp_core.training.loggers.options import MLflowConfig

#: Characters allowed in metric names, besides letters and digits.
_ALLOWED = "_-. /:"

#: Maximum number of parameters per request.
_AT_ONCE = 100

#: Maximum length of a parameter's value.
_LONGEST = 6000


class MLflow(Logger):
    """Logs to an MLflow run, which a resumed training continues."""

    def __init__(self, config: MLflowConfig, run: LoggedRun) -> None:
        try:
            import mlflow
        except ImportError as error:
            message = f"train.loggers: mlflow cannot be imported ({error}): pip install 'tp-core[mlflow]'"
            raise TPError(message) from error
        self._mlflow = mlflow
        try:
            self._client = mlflow.MlflowClient(config.tracking_uri)
            self._id = kept_id(run.folder / "mlflow.id", lambda: self._created(config, run))
            self._client.update_run(self._id, status="RUNNING")
        except mlflow.MlflowException as error:
            raise TPError(f"train.loggers: mlflow: {error}") from error

    def _created(self, config: MLflowConfig, run: LoggedRun) -> str:
        """Create a run with the spec as its parameters; returns its id."""
        found = self._client.get_experiment_by_name(config.experiment)
        experiment = self._client.create_experiment(config.experiment) if found is None else found.experiment_id
        name = config.name or run.name
        made: str = self._client.create_run(experiment, run_name=name, tags=dict(config.tags)).info.run_id
        parameters = [self._mlflow.entities.Param(key, str(value)[:_LONGEST]) for key, value in _flat(run.spec)]
        for first in range(0, len(parameters), _AT_ONCE):
            self._client.log_batch(made, params=parameters[first : first + _AT_ONCE])
        self._client.log_dict(made, dict(run.spec), "spec.json")
        return made

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        now = int(time.time() * 1000)
        metrics = [self._mlflow.entities.Metric(_allowed(name), value, now, step) for name, value in values.items()]
        self._client.log_batch(self._id, metrics=metrics)

    def picture(self, step: int, name: str, pixels: Tensor) -> None:
        self._client.log_image(self._id, pixels.permute(1, 2, 0).numpy(), f"{_allowed(name)}/step_{step:06d}.png")

    def text(self, step: int, name: str, text: str) -> None:
        self._client.log_text(self._id, text, f"{_allowed(name)}/step_{step:06d}.md")

    def close(self) -> None:
        self._client.set_terminated(self._id)


def _allowed(name: str) -> str:
    return "".join(each if each.isalnum() or each in _ALLOWED else "_" for each in name)


def _flat(values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """The plain values of nested mappings, by dotted path."""
    for key, value in values.items():
        place = f"{path}.{key}" if path else str(key)
        if isinstance(value, Mapping):
            yield from _flat(value, place)
        else:
            yield _allowed(place), value
