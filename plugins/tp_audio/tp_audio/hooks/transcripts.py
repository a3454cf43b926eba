"""The hook ``transcripts``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch

from tp_audio.audio.decoding import Samples
from tp_audio.audio.features import Frames, filter_banks
from tp_audio.hooks.spectrogram import Heard, spectrograms
from tp_audio.hooks.transcripts_options import TranscriptsConfig
from tp_audio.processors.options import AudioProcessorConfig
from tp_audio.processors.speech import TranscribedSpeechProcessor
from tp_audio.processors.speech_options import SpeechProcessorConfig
from tp_audio.processors.waveform import WaveformCtcProcessor
from tp_audio.processors.waveform_options import WaveformCtcProcessorConfig
from tp_audio.targets.ctc import CTC
from tp_audio.targets.ctc_options import CTCConfig
from tp_core import hookimpl
from tp_core.data.sampling.mixture import DataSet
from tp_core.data.sampling.order import EVALUATION, generator
from tp_core.diagram.fonts import is_font
from tp_core.evaluation.mode import evaluating
from tp_core.generation.search import most_probable, write
from tp_core.generation.stepper import ModelStepper
from tp_core.interfaces import Batch, Processor, Target
from tp_core.spec.context import context_of

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec
    from tp_core.training.trainer import Trainer

_CONFIGS = (SpeechProcessorConfig, WaveformCtcProcessorConfig)
_SHIFT = 10.0  # milliseconds from one frame of the picture to the next
_BINS = 80


class Transcripts:
    """Writes ``transcripts/step_N.png`` into the run's folder, and the picture and its texts to TensorBoard.

    Texts are decoded greedily, by the decoder if the model has one, else by the target ``ctc``.
    """

    def __init__(self, config: TranscriptsConfig) -> None:
        self.config = config

    @hookimpl
    def tp_check(self, spec: Spec) -> Iterable[str]:
        sets = [part for part in spec.sets().values() if _transcribes(part)]
        if not sets:
            yield (
                "train.hooks.transcripts: needs the target ctc or a decoder, and one of the processors speech_ctc, "
                "speech_text, waveform_ctc"
            )
        elif all(part.data.options.eval is None for part in sets):
            yield "train.hooks.transcripts: needs data.eval"
        if self.config.font is not None and not is_font(self.config.font):
            yield f"train.hooks.transcripts.font: {self.config.font} is not a font file"

    @hookimpl
    def tp_evaluation_end(self, trainer: Trainer, step: int, metrics: dict[str, float]) -> None:
        if trainer.strategy.rank or trainer.evaluator is None:
            return
        sets = trainer.spec.sets()
        for data in trainer.evaluator.sets:
            if not _transcribes(sets[data.name]) or not len(data.rows):
                continue
            heard = self.heard(trainer, data)
            picture = spectrograms(heard, _SHIFT / 1000, f"step {step}", self.config.font)
            name = f"transcripts_{data.name}" if data.name else "transcripts"
            folder = trainer.run / name
            folder.mkdir(exist_ok=True)
            picture.save(folder / f"step_{step:08}.png")
            trainer.loggers.picture(step, name, torch.from_numpy(np.array(picture)).permute(2, 0, 1))
            lines = [f"{_literal(each.wanted)}\n{_literal(each.found)}" for each in heard]
            trainer.loggers.text(step, name, "\n\n".join(lines))

    def heard(self, trainer: Trainer, data: DataSet) -> list[Heard]:
        """Recordings spread evenly over the data, with their reference texts and recognised texts."""
        seed, shown = trainer.spec.train.options.seed, min(self.config.count, len(data.rows))
        spread = [number * len(data.rows) // shown for number in range(shown)]
        inner = data.processor
        assert isinstance(inner, (TranscribedSpeechProcessor, WaveformCtcProcessor))
        samples = [inner.evaluation_sample(data.rows, i, generator(seed, EVALUATION, 0, i)) for i in spread]
        batch = data.feed.collate(samples).to(trainer.strategy.device)
        texts = self._decoded(trainer, inner, batch)
        wanted = [inner.tokenizer.decode([int(i) for i in sample["text"]]) for sample in samples]
        pictures = [_mel(inner.rows.stored(data.rows, i), inner.config) for i in spread]
        return [Heard(*each) for each in zip(pictures, wanted, texts, strict=True)]

    def _decoded(self, trainer: Trainer, processor: Processor, batch: Batch) -> list[str]:
        model = trainer.model
        with evaluating(model):
            active = model.active(batch)
            name, ctc = next(((n, t) for n, t in active.items() if isinstance(t, CTC)), (None, None))
            if model.decoder is None:
                assert name is not None
                assert ctc is not None
                found = ctc.predict(model.view(model.encode(batch), name), batch)
                return [each["text"] for each in processor.describe(found)]
            able = [t for t in active.values() if type(t).next_logits is not Target.next_logits]
            tokens, vocabulary = processor.generation(), trainer.spec.data.target_vocabulary
            vocabulary = vocabulary or trainer.spec.data.vocabulary
            known = None if vocabulary is None else vocabulary.vocab_size
            stepper = ModelStepper(model, able[0], batch, tokens, known)
            longest = context_of(trainer.spec, side="target").length_limit
            room = self.config.max_new_tokens if longest is None else min(self.config.max_new_tokens, longest)
            written = write(stepper, [room] * batch.size, tokens.end, most_probable)
            return [processor.decode(text.ids) for text in written]


def _transcribes(spec: Spec) -> bool:
    """True if a data set has transcribed speech and its model writes texts; ``spec`` is the spec of this data set."""
    processor = spec.data.processor
    writes = spec.model.decoder is not None or any(isinstance(t.config, CTCConfig) for t in spec.model.targets)
    return writes and processor is not None and isinstance(processor.config, _CONFIGS)


def _mel(samples: Samples, config: AudioProcessorConfig) -> Frames:
    """Log-mel frames, (frames, bins), not normalised."""
    rate = config.sampling_rate
    window = int(rate * 0.025) + 1
    samples = np.pad(samples, (0, max(0, window - len(samples))))
    # At low sampling rates, many of 80 bins would be too narrow to contain a frequency.
    bins = getattr(config, "num_mel_bins", _BINS if rate >= 16000 else _BINS // 2)
    return filter_banks(samples, rate, bins, frame_shift=_SHIFT)


def _literal(text: str) -> str:
    """The text as a Markdown code line, which is shown literally."""
    return f"    {text}"
