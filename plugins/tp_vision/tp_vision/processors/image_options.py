"""Options of pictures with and without labels. Torch-free."""

from collections.abc import Iterator
from typing import ClassVar

from tp_core.data.classes.options import ClassLabelOptions
from tp_core.data.classes.set_options import ClassSetOptions
from tp_core.data.label_options import LabelOptions
from tp_core.data.numbers.options import NumberLabelOptions
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext, DataContext
from tp_vision.processors.options import PictureProcessorConfig


class LabelledImageConfig(LabelOptions, PictureProcessorConfig):
    """Pictures with a label each. Subclasses say which labels, with a mixin before this class."""

    implementation: ClassVar[str] = "tp_vision.processors.image:ImageProcessor"

    def check_targets(self, data: DataContext) -> Iterator[Problem]:
        yield from super().check_targets(data)
        if self.augment.mixes() and len(data.labels) > 1:
            yield Problem("augment", "mixup and cutmix need one label per picture, but data.labels names several")


class ImageProcessorConfig(ClassLabelOptions, LabelledImageConfig):
    """Pictures with one class label each."""

    def check_targets(self, data: DataContext) -> Iterator[Problem]:
        yield from super().check_targets(data)
        if self.augment.mixes() and self.classes(data) is None:
            yield Problem("augment", "mixed labels need the number of classes, but no target has num_labels")


class ImageMultiLabelConfig(ClassSetOptions, LabelledImageConfig):
    """Pictures with any number of class labels each."""


class ImageRegressionConfig(NumberLabelOptions, LabelledImageConfig):
    """Pictures with one or several numbers as labels."""

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from super().check(context)
        if self.augment.mixes():
            yield Problem("augment", "mixup and cutmix are for classification only")


class PlainImageConfig(PictureProcessorConfig):
    """Pictures without labels, for targets that need none."""

    implementation: ClassVar[str] = "tp_vision.processors.image:PictureProcessor"

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from super().check(context)
        if self.augment.mixes():
            yield Problem("augment", "mixup and cutmix are for classification only")
