"""Every key of a preprocessor_config.json is read, required to have a value, irrelevant or refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.core.test_converter_keys import others
from tp_audio.processors.speech_ctc_options import SpeechCtcProcessorConfig
from tp_audio.processors.waveform_options import WaveformCtcProcessorConfig
from tp_core import DataContext, Preprocessing, PreprocessorFile, ProcessorConfig, discovery
from tp_core.errors import TPError
from tp_core.interop.accounting import Account, account, preprocessor_rules
from tp_core.interop.keys import Keys, Memory
from tp_vision.processors.huggingface import _DEFAULTS
from tp_vision.processors.image_options import PlainImageConfig

transformers = pytest.importorskip("transformers")

CASES: list[tuple[str, type[Any]]] = [
    *((name, PlainImageConfig) for name in _DEFAULTS),
    ("Wav2Vec2FeatureExtractor", WaveformCtcProcessorConfig),
    ("Speech2TextFeatureExtractor", SpeechCtcProcessorConfig),
]
every_class = pytest.mark.parametrize(("name", "cls"), CASES, ids=[name for name, _ in CASES])


def usual(name: str) -> dict[str, Any]:
    """All keys of a class, at their defaults."""
    found: dict[str, Any] = json.loads(getattr(transformers, name)().to_json_string())
    return found


def read(cls: type[Any], content: dict[str, Any]) -> tuple[str, Account]:
    """The options made of a file, as one text, and the notes on its keys."""
    keys, processor = Keys(content, Memory("preprocessor_config.json", content)), cls()
    found = processor.from_huggingface(keys, DataContext())
    assert found is not None
    return json.dumps(found), account(keys, preprocessor_rules(processor))


#: It would cut 224 x 224 pixels out of as many.
WITHOUT_EFFECT = {("BeitImageProcessor", "do_center_crop")}


@every_class
def test_a_file_with_all_keys_at_the_defaults_of_its_class_is_accepted(name: str, cls: type[Any]) -> None:
    _, said = read(cls, usual(name))
    said.check()
    assert not said.notes


@every_class
def test_no_key_changes_without_a_difference_or_a_word(name: str, cls: type[Any]) -> None:
    content = usual(name)
    before, _ = read(cls, content)
    silent = []
    for key, value in content.items():
        for other in others(value):
            try:
                made, said = read(cls, {**content, key: other})
            except TPError:
                continue
            if (name, key) in WITHOUT_EFFECT:
                continue
            if made == before and not said.refused and said.verdicts[key].kind != "irrelevant":
                silent.append(f"{key}: {other}")
    assert not silent


@every_class
@pytest.mark.parametrize("key", ["crop_pct", "pad_size", "do_flip_channel_order", "window", "some_new_key"])
def test_a_key_that_no_processor_has_is_refused(name: str, cls: type[Any], key: str) -> None:
    _, said = read(cls, {**usual(name), key: 3})
    with pytest.raises(TPError, match=rf"preprocessor_config\.json: not all keys can be converted:\n  '{key}' is 3"):
        said.check()


@every_class
def test_keys_of_older_versions_are_accepted(name: str, cls: type[Any]) -> None:
    kind = "feature_extractor_type" if "Extractor" in name else "image_processor_type"
    older = {kind: name, "processor_class": "SomeProcessor", "_valid_processor_keys": ["size"], "some_new_key": None}
    _, said = read(cls, older)
    said.check()
    assert not said.notes


def test_what_a_key_turns_off_has_no_effect() -> None:
    off = {"do_resize": False, "do_center_crop": False, "do_normalize": False, "do_rescale": False}
    idle = {"size": {"longest_edge": 3}, "resample": 0, "crop_size": 7, "image_mean": [9.0], "rescale_factor": 3.0}
    made, said = read(PlainImageConfig, {"image_processor_type": "ViTImageProcessor", **off, **idle})
    said.check()
    assert made == read(PlainImageConfig, {"image_processor_type": "ViTImageProcessor", **off})[0]


def test_processors_have_such_a_file_or_are_asked_nothing_of_it() -> None:
    """Those of pictures and recordings; a class that derives from the mixin has both ways."""
    having = {
        name
        for name in discovery.index().names("processor")
        if issubclass(discovery.load(discovery.index().find("processor", name)), PreprocessorFile)
    }
    assert {"image", "plain_image", "speech_ctc", "wav2vec2", "image_text"} <= having
    assert not having & {"bert", "mlm", "t5", "region_text"}

    class OneWay(PreprocessorFile, ProcessorConfig):
        def to_huggingface(self, data: DataContext) -> Preprocessing:
            return Preprocessing({})

    with pytest.raises(TypeError, match="from_huggingface"):
        OneWay()  # type: ignore[abstract]
