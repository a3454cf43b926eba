"""Options of SentencePiece. Torch-free."""

from collections.abc import Collection, Mapping
from typing import ClassVar, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from tp_core.options.marks import PathStr
from tp_core.options.tokenizer import TokenizerConfig
from tp_text.tokenizers.options import BOS, EOS, PAIR_SEPARATORS, SPECIAL_IN_TEXT


class SentencePieceConfig(TokenizerConfig):
    """A SentencePiece model (Kudo & Richardson, 2018).

    Special tokens are found in the model: its padding, unknown, bos and eos pieces, and the usual spellings of the
    others. Set the options if a model uses other spellings.
    """

    terms: ClassVar[Mapping[str, str]] = {
        "vocab": "vocab_path vocab_file",
        "model": "spm_model_path sp_model spm_model model_file",
    }

    implementation: ClassVar[str] = "tp_text.tokenizers.sentence_piece:SentencePieceTokenizer"

    model: PathStr = Field(description="model file (.model) trained by sentencepiece")
    vocab: PathStr | None = Field(
        None,
        description="JSON file that maps pieces to ids, if they differ from the model's own ids (Speech2Text)",
    )
    layout: Literal["own", "fairseq"] = Field(
        "own",
        description="ids of the tokens: own: the model's; fairseq: ``<s>``, ``<pad>``, ``</s>``, ``<unk>``, the other "
        "pieces, ``<mask>`` (XLM-R)",
    )
    pad_token: str | None = None
    unk_token: str | None = None
    cls_token: str | None = None
    sep_token: str | None = None
    mask_token: str | None = None
    bos_token: str | None = None
    eos_token: str | None = None
    add_bos: bool = Field(False, description=BOS)
    add_eos: bool = Field(False, description=EOS)
    special_in_text: bool = Field(True, description=SPECIAL_IN_TEXT)
    pair_separators: Literal[1, 2] | None = Field(None, description=PAIR_SEPARATORS)

    @model_validator(mode="after")
    def _one_order(self) -> Self:
        if self.layout != "own" and self.vocab is not None:
            raise ValueError("vocab and layout both give the ids of the tokens; leave one of them out")
        return self

    def libraries(self) -> Collection[str]:
        return ("sentencepiece", "tokenizers")
