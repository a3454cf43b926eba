"""Options of training modules that break one contract each. Torch-free."""

from typing import Any, ClassVar

from pydantic import Field, field_validator

from tp_core import HooksConfig, LoggerConfig, ModuleConfig, OptimizerConfig, ScheduleConfig
from tp_core.training.strategies.options import SingleConfig

HOME = "tests.core.odd_trainers:"


class _Optimizer(OptimizerConfig):
    lr: float = Field(0.01, gt=0)

    def state_memory(self, parameters: Any) -> int:
        return 0


class ClimbsConfig(_Optimizer):
    """Goes up."""

    implementation: ClassVar[str] = HOME + "Climbs"


class RestsConfig(_Optimizer):
    """Does nothing."""

    implementation: ClassVar[str] = HOME + "Rests"


class KeepsRateConfig(_Optimizer):
    """Takes the learning rate once."""

    implementation: ClassVar[str] = HOME + "KeepsRate"


class OneGroupConfig(_Optimizer):
    """Takes the options of the last group for all."""

    implementation: ClassVar[str] = HOME + "OneGroup"


class NoDecayConfig(_Optimizer):
    """Leaves the decay out."""

    implementation: ClassVar[str] = HOME + "NoDecay"


class NeedsGradientsConfig(_Optimizer):
    """Wants a gradient of every weight."""

    implementation: ClassVar[str] = HOME + "NeedsGradients"


class HiddenMomentumConfig(_Optimizer):
    """Remembers something outside its state."""

    implementation: ClassVar[str] = HOME + "HiddenMomentum"


class UndeclaredStateConfig(_Optimizer):
    """Has more state than it says."""

    implementation: ClassVar[str] = HOME + "UndeclaredState"


class IgnoresScaleConfig(_Optimizer):
    """Leaves the divisor of the gradients out."""

    implementation: ClassVar[str] = HOME + "IgnoresScale"


class IgnoresFlagConfig(_Optimizer):
    """Applies every step."""

    implementation: ClassVar[str] = HOME + "IgnoresFlag"


class CountsConfig(ScheduleConfig):
    """Counts how often it was asked."""

    implementation: ClassVar[str] = HOME + "Counts"


class NegativeConfig(ScheduleConfig):
    """Falls below 0."""

    implementation: ClassVar[str] = HOME + "Negative"


class FailsAtTheEndConfig(ScheduleConfig):
    """Divides by the steps that are left."""

    implementation: ClassVar[str] = HOME + "FailsAtTheEnd"


class GoesOnConfig(ScheduleConfig):
    """Falls behind the run, too."""

    implementation: ClassVar[str] = HOME + "GoesOn"


class NoWarmupConfig(ScheduleConfig):
    """Has no warm-up."""

    implementation: ClassVar[str] = HOME + "NoWarmup"


class NothingConfig(ScheduleConfig):
    """Trains nothing."""

    implementation: ClassVar[str] = HOME + "Nothing"


class TruncatesConfig(LoggerConfig):
    """Begins its file anew."""

    implementation: ClassVar[str] = HOME + "Truncates"


class OverwritesConfig(LoggerConfig):
    """Writes to the run's file."""

    implementation: ClassVar[str] = HOME + "Overwrites"


class NoPicturesConfig(LoggerConfig):
    """Takes no pictures."""

    implementation: ClassVar[str] = HOME + "NoPictures"


class CreatedConfig(LoggerConfig):
    """Wants its folder for itself."""

    implementation: ClassVar[str] = HOME + "Created"


class NoLoggerConfig(LoggerConfig):
    """Builds something else."""

    def build(self, run: Any) -> Any:
        return []


class HalfGradientsConfig(SingleConfig):
    """Halves the loss."""

    implementation: ClassVar[str] = HOME + "HalfGradients"


class OtherStartConfig(SingleConfig):
    """Draws other initial values."""

    implementation: ClassVar[str] = HOME + "OtherStart"


class LosesStateConfig(SingleConfig):
    """Forgets the optimizer's means."""

    implementation: ClassVar[str] = HOME + "LosesState"


class DeafConfig(HooksConfig):
    """Has no hook."""

    implementation: ClassVar[str] = HOME + "Deaf"


class MisheardConfig(HooksConfig):
    """Has a hook that there is not."""

    implementation: ClassVar[str] = HOME + "Misheard"


class WrongArgumentsConfig(HooksConfig):
    """Is built with two arguments."""

    implementation: ClassVar[str] = HOME + "Odd"


class MissingImplementationConfig(HooksConfig):
    """Is nowhere."""

    implementation: ClassVar[str] = "tests.core.nowhere:Odd"


class SetOptionConfig(HooksConfig):
    """Has an option that no spec can hold."""

    names: set[str] = {"a"}


class ChangesOptionConfig(HooksConfig):
    """Changes an option each time."""

    size: int = Field(1, validate_default=True)

    @field_validator("size")
    @classmethod
    def _grow(cls, value: int) -> int:
        return value + 1


class NoDocstringConfig(HooksConfig):
    pass


class CodecConfig(ModuleConfig):
    """Base of a kind of another package."""

    kind: ClassVar[str] = "acme_codec"


class PlainCodecConfig(CodecConfig):
    """A module of that kind."""

    width: int = 3
