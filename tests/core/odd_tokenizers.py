"""Tokenizers that have one fault each, and one that has none. Options and modules are one file here."""

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tp_core import Tokenizer, TokenizerConfig
from tp_core.interfaces.tokenizer import TokenizerFacts
from tp_core.options.marks import PathStr


class GoodTokenizerConfig(TokenizerConfig):
    """Bytes, behind two special tokens."""

    implementation: ClassVar[str] = "Bytes"

    names: PathStr | None = None


class FarIdsConfig(GoodTokenizerConfig):
    """Has ids beyond its vocabulary."""

    implementation: ClassVar[str] = "FarIds"


class NeighboursConfig(GoodTokenizerConfig):
    """Ids depend on the other texts."""

    implementation: ClassVar[str] = "Neighbours"


class OtherFlatConfig(GoodTokenizerConfig):
    """Has other ids in one array."""

    implementation: ClassVar[str] = "OtherFlat"


class NoWayBackConfig(GoodTokenizerConfig):
    """Decodes to something else."""

    implementation: ClassVar[str] = "NoWayBack"


class FarSpecialConfig(GoodTokenizerConfig):
    """Has a special token beyond its vocabulary."""

    implementation: ClassVar[str] = "FarSpecial"


class OddStartsConfig(GoodTokenizerConfig):
    """Says of too few ids whether they begin a word."""

    implementation: ClassVar[str] = "OddStarts"


class OtherFactsConfig(GoodTokenizerConfig):
    """Declares another vocabulary."""

    def facts(self, data: Any) -> TokenizerFacts:
        return TokenizerFacts(300, {"pad": 0, "unk": 1}, False)


class ForgetsFilesConfig(GoodTokenizerConfig):
    """Saves nothing of its table."""

    implementation: ClassVar[str] = "ForgetsFiles"


class Bytes(Tokenizer):
    def __init__(self, config: GoodTokenizerConfig, data: Any) -> None:
        self.special, self.vocab_size = {"pad": 0, "unk": 1}, 258
        named = data.base and config.names and Path(data.base, config.names)
        self.shift = json.loads(Path(named or config.names).read_text()) if config.names else 0

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        return [[(byte + self.shift) % 256 + 2 for byte in text.encode()] for text in texts]

    def decode(self, ids: list[int]) -> str:
        return bytes((each - 2 - self.shift) % 256 for each in ids if each > 1).decode(errors="replace")

    def token(self, index: int) -> str:
        return ("[PAD]", "[UNK]")[index] if index < 2 else f"<{index - 2}>"

    def word_starts(self) -> Any:
        return None

    def save(self, folder: Path) -> dict[str, Any]:
        (folder / "shift.json").write_text(json.dumps(self.shift))
        return {"names": "shift.json"}


class FarIds(Bytes):
    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        return [[each + 100 for each in ids] for ids in super().encode_batch(texts)]


class Neighbours(Bytes):
    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        return [[1, *ids] if len(texts) > 1 else ids for ids in super().encode_batch(texts)]


class OtherFlat(Bytes):
    def encode_flat(self, texts: list[str]) -> Any:
        flat, ends = super().encode_flat(texts)
        return flat[::-1], ends


class NoWayBack(Bytes):
    def decode(self, ids: list[int]) -> str:
        return super().decode(ids)[::-1]


class FarSpecial(Bytes):
    def __init__(self, config: GoodTokenizerConfig, data: Any) -> None:
        super().__init__(config, data)
        self.special = {"pad": 0, "mask": 258}


class OddStarts(Bytes):
    def word_starts(self) -> Any:
        return np.ones(5, dtype=bool)


class ForgetsFiles(Bytes):
    def save(self, folder: Path) -> dict[str, Any]:
        (folder / "shift.json").write_text(json.dumps(self.shift + 1))
        return {"names": "shift.json"}
