"""Options of the format of TencentPretrain. Torch-free."""

from typing import ClassVar, Literal

from pydantic import Field

from tp_core.options.format import FormatConfig
from tp_core.options.marks import PathStr

TokenizerName = Literal["bert", "bpe", "char", "space", "xlmroberta"]

Task = Literal[
    "classifier",
    "multi_label",
    "multi_task",
    "regression",
    "ranking",
    "ner",
    "cmrc",
    "c3",
    "chid",
    "siamese",
    "image_classifier",
]


class TencentPretrainFormatConfig(FormatConfig):
    """TencentPretrain and UER: a checkpoint (.bin), its config (.json) and its vocabulary."""

    implementation: ClassVar[str] = "tp_tencentpretrain.format:TencentPretrain"
    reading: ClassVar[frozenset[str]] = frozenset(
        {
            *(
                "labels",
                "config",
                "vocab",
                "merges",
                "spm_model",
                "tokenizer",
                "cased",
                "special_tokens",
                "resize_vocabulary",
            ),
            *("target_vocab", "target_merges", "target_spm_model", "target_tokenizer", "target_cased"),
        }
    )

    config: PathStr | None = Field(
        None,
        description="the model's config, a JSON file of the original; by default, config.json beside the checkpoint",
    )
    task: Task | None = Field(
        None, description="task of a fine-tuned model; by default, the names of its tensors or its target determine it"
    )
    labels: PathStr | None = Field(None, description="label2id.json of a model for ner (--label2id_path)")
    tokenizer: TokenizerName | None = Field(
        None, description="the original's name of the tokenizer; by default, the files determine it"
    )
    vocab: PathStr | None = Field(None, description="vocabulary file (--vocab_path of the original)")
    merges: PathStr | None = Field(None, description="merges of the tokenizer bpe (--merges_path)")
    spm_model: PathStr | None = Field(None, description="SentencePiece model (--spm_model_path)")
    cased: bool = Field(False, description="do not lower-case texts (--do_lower_case false)")
    special_tokens: PathStr | None = Field(
        None, description="special_tokens_map.json of the original, if the model has others than [CLS], [SEP], ..."
    )
    target_tokenizer: TokenizerName | None = Field(None, description="the tokenizer of the decoder's side")
    target_vocab: PathStr | None = Field(None, description="vocabulary of the decoder's side (--tgt_vocab_path)")
    target_merges: PathStr | None = Field(None, description="merges of the decoder's side (--tgt_merges_path)")
    target_spm_model: PathStr | None = Field(
        None, description="SentencePiece model of the decoder's side (--tgt_spm_model_path)"
    )
    target_cased: bool = Field(False, description="do not lower-case texts of the decoder's side")
    resize_vocabulary: bool = Field(
        False,
        description="allow a vocabulary of another size than the checkpoint's: surplus rows are removed, missing rows "
        "are drawn at random with the statistics of the present rows",
    )
