"""Options of the loggers. Torch-free."""

from typing import ClassVar, Literal

from pydantic import Field

from tp_core.options.logger import LoggerConfig


class TensorBoardConfig(LoggerConfig):
    """TensorBoard; writes to ``tensorboard/`` in the run's folder."""

    implementation: ClassVar[str] = "tp_core.training.loggers.tensorboard:TensorBoard"

    flush_seconds: int = Field(120, gt=0, description="maximum seconds until events are written to disk")


class WandbConfig(LoggerConfig):
    """Weights & Biases (``pip install 'tp-core[wandb]'``)."""

    implementation: ClassVar[str] = "tp_core.training.loggers.wandb:Wandb"

    project: str | None = Field(None, description="project; default: WANDB_PROJECT")
    entity: str | None = Field(None, description="user or team; default: WANDB_ENTITY, or the user's own")
    name: str | None = Field(None, description="name of the run in W&B; default: the spec's name")
    group: str | None = Field(None, description="name of a group of related runs")
    tags: list[str] = Field([], description="tags of the run")
    mode: Literal["online", "offline", "disabled"] | None = Field(
        None, description="offline: write to the run's folder, for 'wandb sync'; default: WANDB_MODE, or online"
    )


class MLflowConfig(LoggerConfig):
    """MLflow (``pip install 'tp-core[mlflow]'``)."""

    implementation: ClassVar[str] = "tp_core.training.loggers.mlflow:MLflow"

    tracking_uri: str | None = Field(
        None, description="server, database or folder; default: MLFLOW_TRACKING_URI, or MLflow's own default"
    )
    experiment: str = Field("Default", description="name of the experiment; created if it does not exist")
    name: str | None = Field(None, description="name of the run in MLflow; default: the spec's name")
    tags: dict[str, str] = Field({}, description="tags of the run")
