"""The format of Hugging Face."""

from __future__ import annotations

from pathlib import Path

from tp_core.errors import TPError
from tp_core.files.sizes import parse_size
from tp_core.interfaces.format import Format, Say
from tp_core.interop.huggingface_options import HuggingFaceFormatConfig


class HuggingFace(Format):
    """Folders of transformers, with the converter of their architecture."""

    def __init__(self, config: HuggingFaceFormatConfig, name: str) -> None:
        super().__init__(config, name)
        self.config = config
        self.limit = parse_size(config.max_shard_size)
        if not self.limit:
            raise TPError(f"'{config.max_shard_size}' is no size that a file of weights can have")

    def read(self, source: Path, folder: Path, say: Say) -> None:
        from tp_core.interop.from_huggingface import from_huggingface

        config = self.config
        from_huggingface(
            source, folder, config.architecture, config.model_type, config.resize_vocabulary, config.ignore_keys, say
        )

    def write(self, source: Path, folder: Path, say: Say) -> None:
        from tp_core.interop.to_huggingface import to_huggingface

        to_huggingface(
            source, folder, self.config.architecture, self.config.model_type, self.limit, self.config.approximate, say
        )
