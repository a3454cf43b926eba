"""Options of the format of Hugging Face. Torch-free."""

from typing import ClassVar

from pydantic import Field

from tp_core.options.format import FormatConfig


class HuggingFaceFormatConfig(FormatConfig):
    """Hugging Face: a folder with config.json and weights, as transformers writes it."""

    implementation: ClassVar[str] = "tp_core.interop.huggingface:HuggingFace"
    reading: ClassVar[frozenset[str]] = frozenset({"resize_vocabulary", "ignore_keys"})
    writing: ClassVar[frozenset[str]] = frozenset({"max_shard_size", "approximate"})

    architecture: str | None = Field(
        None,
        description="class in transformers, such as BertForMaskedLM; by default, config.json or the targets determine "
        "it",
    )
    model_type: str | None = Field(
        None,
        description="converter to use; tp modules --kind converter lists them; by default, the one that fits the model",
    )
    max_shard_size: str = Field("5GB", description="maximum size of a weights file")
    approximate: bool = Field(
        False,
        description="write a model with a module that transformers does not have, such as TencentPretrain's norm, with "
        "the nearest one; the size of the difference is measured and said",
    )
    resize_vocabulary: bool = Field(
        False,
        description="allow a vocabulary size other than that in config.json: surplus rows are removed, missing rows "
        "are drawn at random with the statistics of the present rows",
    )
    ignore_keys: list[str] = Field(
        [],
        description="a key of config.json, or of another JSON file, to leave out if it cannot be converted; may be "
        "repeated",
    )
