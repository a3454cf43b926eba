"""Cluster units of recordings, the labels that HuBERT and WavLM learn to predict."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from tp_audio.audio.decoding import Samples
from tp_audio.audio.reading import Reading, read_samples
from tp_core.errors import DataError, TPError
from tp_core.evaluation.mode import evaluating
from tp_core.processes.shared import ALONE, Processes

if TYPE_CHECKING:
    from tp_core.artifacts.load import LoadedModel
    from tp_core.interfaces import Record

Vectors = NDArray[np.float32]
Value = TypeVar("Value")

#: Number of distances that are computed at a time.
_DISTANCES = 1 << 24


class MelCepstrum:
    """Thirteen MFCCs with their first and second differences, for 100 frames per second."""

    rate = 100.0

    def __init__(self, sampling_rate: int) -> None:
        self.reading = Reading(sampling_rate)

    def __call__(self, record: Record) -> Vectors:
        """Vectors (frames, 39) of a recording.

        Raises:
            DataError: the recording cannot be read or is shorter than one frame.
        """
        samples = read_samples(record, self.reading)
        if len(samples) < self.reading.rate // 40:
            message = f"the recording has {len(samples)} samples, less than one frame"
            raise DataError(message, file=record.file, line=record.line)
        return mel_cepstrum(samples, self.reading.rate)


def mel_cepstrum(samples: Samples, rate: int) -> Vectors:
    """MFCCs with first and second differences, (frames, 39), as Kaldi computes them without dither."""
    from torchaudio.compliance.kaldi import mfcc
    from torchaudio.functional import compute_deltas

    first = mfcc(torch.from_numpy(samples).unsqueeze(0), sample_frequency=rate, use_energy=False).T
    second = compute_deltas(first)
    found: Vectors = torch.cat([first, second, compute_deltas(second)]).T.numpy()
    return found


class LayerStates:
    """The output states of a layer of a trained model.

    Args:
        loaded: the model.
        layer: number of the layer, from 1.

    Raises:
        TPError: the model has no such layer, or does not read recordings.
    """

    def __init__(self, loaded: LoadedModel, layer: int) -> None:
        from tp_audio.processors.pretraining import PretrainingProcessor

        if not isinstance(loaded.processor, PretrainingProcessor):
            raise TPError("--model: expected a model with the processor wav2vec2 or units")
        layers = getattr(loaded.model.encoder, "layers", ())
        if not 1 <= layer <= len(layers):
            raise TPError(f"--layer {layer}: the model has the layers 1 to {len(layers)}")
        self.loaded, self.processor, self.layer = loaded, loaded.processor, layers[layer - 1]
        self.rate = self.processor.config.sampling_rate / math.prod(self.processor.strides)

    def __call__(self, record: Record) -> Vectors:
        """Vectors (frames, hidden size) of a recording."""
        found: list[Any] = []
        handle = self.layer.register_forward_hook(lambda _, __, output: found.append(output[0]))
        try:
            batch = self.loaded.feed.collate(self.processor.encode([record]))
            with evaluating(self.loaded.model):
                self.loaded.model.encode_source(batch.to(self.loaded.device))
        finally:
            handle.remove()
        states: Vectors = found[0][0].float().cpu().numpy()
        return states


def sampled(
    records: list[Record],
    vectors: Callable[[Record], Vectors],
    most: int,
    seed: int,
    report: Callable[[DataError], None],
    processes: Processes = ALONE,
) -> Vectors:
    """Vectors of recordings in random order, at most ``most``.

    Args:
        records: the recordings.
        vectors: computes the vectors of one recording.
        most: maximum number of vectors.
        seed: seed of the random order.
        report: called with the error of each recording that cannot be read.
        processes: processes that share the work. The first process gets the vectors, the others get none.

    Raises:
        TPError: no recording can be read.
    """
    shuffled = (records[index] for index in np.random.default_rng(seed).permutation(len(records)))
    parts: list[Vectors] = []
    for turn in processes.mapped(readable(vectors), shuffled):
        for each in turn:
            if isinstance(each, DataError):
                report(each)
            else:
                parts.append(each[:most])
                most -= len(parts[-1])
            if not most:
                break
        if processes.from_first(not most):
            break
    if not parts and processes.first:
        raise TPError("there is no recording that can be read")
    return np.concatenate(parts) if parts else np.empty((0, 0), np.float32)


def centres(vectors: Vectors, clusters: int, seed: int) -> Vectors:
    """Cluster centres by mini-batch k-means (scikit-learn; Sculley, 2010).

    Raises:
        TPError: there are fewer vectors than clusters.
    """
    try:
        from sklearn.cluster import MiniBatchKMeans
    except ImportError:
        raise TPError('k-means needs scikit-learn: pip install "tp-audio[units]"') from None
    if len(vectors) < clusters:
        raise TPError(f"--clusters {clusters}: the recordings have only {len(vectors)} frames")
    found = MiniBatchKMeans(
        clusters,
        random_state=seed,
        batch_size=10000,
        max_iter=100,
        n_init=5,
        tol=0.0,
        max_no_improvement=100,
        reassignment_ratio=0.0,
    ).fit(vectors)
    return np.asarray(found.cluster_centers_, dtype=np.float32)


def nearest(vectors: Vectors, found: Vectors) -> NDArray[np.int64]:
    """The index of the nearest centre for each vector, (frames,)."""
    squares = np.square(found).sum(axis=1)
    step = max(1, _DISTANCES // len(found))
    parts = [(squares - 2 * vectors[i : i + step] @ found.T).argmin(axis=1) for i in range(0, len(vectors), step)]
    return np.concatenate(parts)


def readable(function: Callable[[Record], Value]) -> Callable[[Record], Value | DataError]:
    """Wrap a function of recordings: if a recording cannot be read, it returns the error instead of raising it."""

    def attempt(record: Record) -> Value | DataError:
        try:
            return function(record)
        except DataError as error:
            return error

    return attempt
