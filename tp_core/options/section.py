"""The base class of all options in specs, with strict checks. Torch-free."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A group of options in a spec: no unknown keys, no type conversion, no infinities."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True, allow_inf_nan=False)
