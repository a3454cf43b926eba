"""Names of files in the folder of a trained model. Torch-free."""

from __future__ import annotations

from tp_core.spec.trained.provenance import PROVENANCE, REQUIREMENTS

#: Stem of the files with a model's weights.
STEM = "model"

#: The weights of a model that fits into one file.
WEIGHTS = f"{STEM}.safetensors"

#: Stem of the files with the state of an optimizer, in a checkpoint.
OPTIMIZER = "optimizer"


#: The complete spec of the training, for people to read.
TRAINING = "training.yaml"


#: The original config.json of a model that was converted from Hugging Face.
ORIGIN = "huggingface.json"


#: Files of an exported model that people may edit.
EDITABLE = ("spec.yaml", TRAINING, ORIGIN, PROVENANCE, REQUIREMENTS)
