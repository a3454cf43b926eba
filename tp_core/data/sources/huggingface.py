"""Saved Hugging Face datasets, and datasets of the hub, read as Arrow record batches. Torch-free."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tp_core.data.sources.arrow_cells import first_line
from tp_core.data.sources.arrow_tables import ROWS, ArrowTable
from tp_core.data.sources.options import HUB
from tp_core.errors import DataError, TPError


class _Dataset(ArrowTable):
    """A dataset of the ``datasets`` library."""

    unpacked = False

    def batches(self) -> Iterator[Any]:
        yield from self.load().with_format("arrow").iter(batch_size=ROWS)

    def load(self) -> Any:
        """Load the dataset.

        Raises:
            TPError: the library is missing, or the dataset cannot be loaded.
        """
        try:
            import datasets
        except ImportError as error:
            raise TPError(
                f"{self.path}: a Hugging Face dataset needs the 'datasets' library: pip install tp-core[hub]"
            ) from error
        return self.loaded_with(datasets)

    @abstractmethod
    def loaded_with(self, datasets: Any) -> Any:
        """Load the dataset with the library."""


class SavedDataset(_Dataset):
    """A dataset in a folder."""

    def files(self) -> Iterable[str]:
        return [str(path) for path in sorted(Path(self.path).rglob("*")) if path.is_file()]

    def loaded_with(self, datasets: Any) -> Any:
        try:
            return datasets.load_from_disk(self.path)
        except Exception as error:  # the library passes on exceptions of many kinds
            raise DataError(f"cannot be read as a saved dataset: {first_line(error)}", file=self.path) from error


class HubDataset(_Dataset):
    """A dataset of the hub, which the library stores in its own cache."""

    names_files = False

    def files(self) -> Iterable[str]:
        return ()

    def identity(self) -> str:
        return f"{self.path} {self.load()._fingerprint}"

    def loaded_with(self, datasets: Any) -> Any:
        return _load_from_hub(self.path, datasets)


def parse_hub_name(path: str) -> tuple[list[tuple[str, str | None]], str]:
    """The interpretations of ``hf://name[/config][:split]``: pairs of dataset and configuration to try, and the split.

    Most names have an owner, so ``hf://a/b`` is tried first as dataset ``a/b``, then as configuration ``b`` of ``a``.

    Raises:
        TPError: the name has another form.
    """
    name, _, split = path.removeprefix(HUB).partition(":")
    parts = name.split("/")
    if not all(parts) or len(parts) > 3:
        raise TPError(f"{path}: expected hf://name[/config][:split], for example hf://nyu-mll/glue/mrpc:train")
    readings: list[tuple[str, str | None]] = [(name, None)]
    if len(parts) == 2:
        readings.append((parts[0], parts[1]))
    elif len(parts) == 3:
        readings = [("/".join(parts[:2]), parts[2])]
    return readings, split or "train"


def _load_from_hub(path: str, datasets: Any) -> Any:
    readings, split = parse_hub_name(path)
    first: Exception | None = None
    for name, config in readings:
        try:
            return datasets.load_dataset(name, config, split=split)
        except datasets.exceptions.DatasetNotFoundError as error:
            first = first or error
        except Exception as error:  # network, builder and format errors of many kinds
            first = first or error
            break
    assert first is not None
    raise TPError(f"{path}: cannot be loaded from the Hugging Face hub: {first_line(first)}") from first
