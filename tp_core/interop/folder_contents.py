"""The check that every file of a Hugging Face folder is read, known to be irrelevant, or reported. Torch-free."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

from tp_core.errors import TPError

#: Patterns of files that do not describe the model; a folder has a slash at the end.
_IRRELEVANT = (
    # documentation and pictures
    *("README*", "LICENSE*", "LICENCE*", "NOTICE*", "USE_POLICY*", "CITATION*", "*.md", "*.rst", "*.pdf"),
    *("*.png", "*.jpg", "*.jpeg", "*.gif", "*.svg", "*.webp"),
    # files of version control, downloads and editors
    *(".git*", ".huggingface/", ".cache/", ".DS_Store", "__pycache__/", ".ipynb_checkpoints/", "checksums*", "*.lock"),
    # training state and training logs
    *("training_args.bin", "optimizer.pt", "optimizer.bin", "scheduler.pt", "scheduler.bin", "scaler.pt"),
    *("trainer_state.json", "rng_state*", "random_states*", "events.out.tfevents.*", "runs/", "logs/", "wandb/"),
    *("all_results.json", "train_results.json", "eval_results.json", "test_results.json", "eval/", "checkpoint-*/"),
    *("global_step*/", "latest", "zero_to_fp32.py"),
    # indices of shards; the index of the shards that are used is read
    "*.index.json",
)

#: The same weights in formats for other programs, or in a second format.
_OTHER_WEIGHTS = (
    *("tf_model.h5", "tf_model-*.h5", "flax_model.msgpack", "flax_model-*.msgpack", "*.onnx", "onnx/", "openvino/"),
    *("coreml/", "*.mlpackage/", "*.tflite", "model.ckpt*", "*.gguf", "*.ggml", "*.ot", "original/", "metal/"),
    *("consolidated*.pth", "consolidated*.safetensors", "params.json", "model_args.json"),
    *("pytorch_model.bin", "pytorch_model.*.bin", "pytorch_model-*-of-*.bin"),
    *("model.safetensors", "model.*.safetensors", "model-*-of-*.safetensors"),
)

#: Files of adapters (PEFT), which are only part of a model.
_ADAPTERS = ("adapter_config.json", "adapter_model.*")


class FolderContents:
    """The files of a folder, with a record of those that were read.

    Args:
        folder: the folder. The contents of folders inside it are not examined.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: list[str] = []
        if folder.is_dir():
            self.names = sorted(f"{each.name}/" if each.is_dir() else each.name for each in folder.iterdir())
        self._read: set[str] = set()

    def mark(self, *names: str) -> None:
        """Record files or folders as read; a slash at the end of a folder's name is optional."""
        self._read |= {name.rstrip("/") for name in names}

    def check(self) -> None:
        """Check that the folder contains a whole model.

        Raises:
            TPError: it contains an adapter.
        """
        found = [name for name in self.names if any(fnmatch(name, pattern) for pattern in _ADAPTERS)]
        if found:
            raise TPError(
                f"{self.folder}: {', '.join(found)}: this is an adapter, or a model with one; merge it into its base "
                "model first (merge_and_unload() of peft), and convert the merged model"
            )

    def unread(self) -> list[str]:
        """The files that may describe the model but were not read."""
        known = (*_IRRELEVANT, *_OTHER_WEIGHTS)
        left = [name for name in self.names if name.rstrip("/") not in self._read]
        return [name for name in left if not any(fnmatch(name, pattern) for pattern in known)]

    def notes(self) -> list[str]:
        """Notes for the user about files that were not read."""
        left = self.unread()
        code, others = ([n for n in left if n.endswith(".py") is is_code] for is_code in (True, False))
        found = [f"code that comes with a checkpoint is never run: {', '.join(code)}"] if code else []
        return [*found, *([f"not read: {', '.join(others)}"] if others else [])]
