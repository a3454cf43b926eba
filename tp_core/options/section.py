"""The base of all options of specs: plain values, checked strictly. Torch-free."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Options that stand together in a spec: no unknown keys, no conversion of types, no infinities."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True, allow_inf_nan=False)
