"""Every file of a Hugging Face folder is accounted for: read, of no use to a conversion, or named. Torch-free."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

from tp_core.errors import TPError

#: Files that say nothing of the model, as patterns; a folder has a slash at the end.
_IRRELEVANT = (
    # texts, pictures and what services put beside them
    *("README*", "LICENSE*", "LICENCE*", "NOTICE*", "USE_POLICY*", "CITATION*", "*.md", "*.rst", "*.pdf"),
    *("*.png", "*.jpg", "*.jpeg", "*.gif", "*.svg", "*.webp"),
    # what the tools leave that fetched the folder, or that write into it
    *(".git*", ".huggingface/", ".cache/", ".DS_Store", "__pycache__/", ".ipynb_checkpoints/", "checksums*", "*.lock"),
    # how it was trained
    *("training_args.bin", "optimizer.pt", "optimizer.bin", "scheduler.pt", "scheduler.bin", "scaler.pt"),
    *("trainer_state.json", "rng_state*", "random_states*", "events.out.tfevents.*", "runs/", "logs/", "wandb/"),
    *("all_results.json", "train_results.json", "eval_results.json", "test_results.json", "eval/", "checkpoint-*/"),
    *("global_step*/", "latest", "zero_to_fp32.py"),
    # where the shards' tensors are; that of the shards that are read is read
    "*.index.json",
)

#: The same weights for other programs, or in a second form.
_OTHER_WEIGHTS = (
    *("tf_model.h5", "tf_model-*.h5", "flax_model.msgpack", "flax_model-*.msgpack", "*.onnx", "onnx/", "openvino/"),
    *("coreml/", "*.mlpackage/", "*.tflite", "model.ckpt*", "*.gguf", "*.ggml", "*.ot", "original/", "metal/"),
    *("consolidated*.pth", "consolidated*.safetensors", "params.json", "model_args.json"),
    *("pytorch_model.bin", "pytorch_model.*.bin", "pytorch_model-*-of-*.bin"),
    *("model.safetensors", "model.*.safetensors", "model-*-of-*.safetensors"),
)

#: Small parts of a model that were trained beside its weights; without the weights they are in they mean nothing.
_ADAPTERS = ("adapter_config.json", "adapter_model.*")


class FolderContents:
    """The files of a folder, and which of them were read.

    Args:
        folder: the folder; of folders inside it, only the names are looked at.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: list[str] = []
        if folder.is_dir():
            self.names = sorted(f"{each.name}/" if each.is_dir() else each.name for each in folder.iterdir())
        self._read: set[str] = set()

    def mark(self, *names: str) -> None:
        """Note files as read; folders inside with or without a slash at the end."""
        self._read |= {name.rstrip("/") for name in names}

    def check(self) -> None:
        """See that the folder is one of a model that can be converted.

        Raises:
            TPError: it holds an adapter.
        """
        found = [name for name in self.names if any(fnmatch(name, pattern) for pattern in _ADAPTERS)]
        if found:
            raise TPError(
                f"{self.folder}: {', '.join(found)}: this is an adapter, or a model with one; merge it into the model "
                "that it was trained for first (merge_and_unload() of peft), and convert what that saves"
            )

    def unread(self) -> list[str]:
        """The files that may say something of the model, and were not read."""
        known = (*_IRRELEVANT, *_OTHER_WEIGHTS)
        left = [name for name in self.names if name.rstrip("/") not in self._read]
        return [name for name in left if not any(fnmatch(name, pattern) for pattern in known)]

    def notes(self) -> list[str]:
        """Notes for the user on files that were not read, in sentences."""
        left = self.unread()
        code, others = ([n for n in left if n.endswith(".py") is is_code] for is_code in (True, False))
        found = [f"code that comes with a checkpoint is never run: {', '.join(code)}"] if code else []
        return [*found, *([f"not read: {', '.join(others)}"] if others else [])]
