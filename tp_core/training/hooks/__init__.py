"""Hooks that change what a step is trained on: adversarial training and R-Drop."""
