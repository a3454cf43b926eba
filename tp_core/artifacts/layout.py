"""Names of files in the folder of a trained model. Torch-free."""

from __future__ import annotations

from tp_core.spec.trained.provenance import PROVENANCE, REQUIREMENTS

WEIGHTS = "model.safetensors"


#: The whole spec of the training, for people to read.
TRAINING = "training.yaml"


#: The config.json that a model came from Hugging Face with.
ORIGIN = "huggingface.json"


#: Files of an exported model that people edit.
EDITABLE = ("spec.yaml", TRAINING, ORIGIN, PROVENANCE, REQUIREMENTS)
