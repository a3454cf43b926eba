"""Names of the columns of rows with labels. Torch-free."""


def label_column(target: str = "") -> str:
    """The column of rows with the label of a target, or with that of all targets."""
    return f"label:{target}" if target else "label"


def probability_column(target: str = "") -> str:
    """The column of rows with probabilities of classes, for the targets of :func:`label_column`."""
    return f"probabilities:{target}" if target else "probabilities"
