"""Options of the loggers. Torch-free."""

from typing import ClassVar, Literal

from pydantic import Field

from tp_core.options.logger import LoggerConfig


class TensorBoardConfig(LoggerConfig):
    """TensorBoard, in ``tensorboard/`` of the run's folder."""

    implementation: ClassVar[str] = "tp_core.training.loggers.tensorboard:TensorBoard"

    flush_seconds: int = Field(120, gt=0, description="seconds after which events are on the disk at the latest")


class WandbConfig(LoggerConfig):
    """Weights & Biases (``pip install 'tp-core[wandb]'``)."""

    implementation: ClassVar[str] = "tp_core.training.loggers.wandb:Wandb"

    project: str | None = Field(None, description="unset: as WANDB_PROJECT says")
    entity: str | None = Field(None, description="user or team; unset: as WANDB_ENTITY says, or the user's own")
    name: str | None = Field(None, description="of the run there; unset: the spec's")
    group: str | None = Field(None, description="runs that belong together")
    tags: list[str] = Field([], description="of the run")
    mode: Literal["online", "offline", "disabled"] | None = Field(
        None, description="offline: into the run's folder, for 'wandb sync'; unset: as WANDB_MODE says, or online"
    )


class MLflowConfig(LoggerConfig):
    """MLflow (``pip install 'tp-core[mlflow]'``)."""

    implementation: ClassVar[str] = "tp_core.training.loggers.mlflow:MLflow"

    tracking_uri: str | None = Field(
        None, description="server, database or folder; unset: as MLFLOW_TRACKING_URI says, or as MLflow's own default"
    )
    experiment: str = Field("Default", description="made where there is none of the name")
    name: str | None = Field(None, description="of the run there; unset: the spec's")
    tags: dict[str, str] = Field({}, description="of the run")
