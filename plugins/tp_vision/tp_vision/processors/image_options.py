"""Options of pictures with and without class labels. Torch-free."""

from collections.abc import Iterator
from typing import ClassVar

from tp_core.data.classes.options import ClassLabelOptions
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext, DataContext
from tp_vision.processors.options import PictureProcessorConfig


class ImageProcessorConfig(ClassLabelOptions, PictureProcessorConfig):
    """Pictures with one class label each."""

    implementation: ClassVar[str] = "tp_vision.processors.image:ImageProcessor"

    def check_targets(self, data: DataContext) -> Iterator[Problem]:
        yield from super().check_targets(data)
        if self.augment.mixes() and self.classes(data) is None:
            yield Problem("augment", "mixed labels need the number of classes, but no target has num_labels")
        if self.augment.mixes() and len(data.labels) > 1:
            yield Problem("augment", "mixup and cutmix need one label per picture, but data.labels names several")


class PlainImageConfig(PictureProcessorConfig):
    """Pictures without labels, for targets that need none."""

    implementation: ClassVar[str] = "tp_vision.processors.image:PictureProcessor"

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from super().check(context)
        if self.augment.mixes():
            yield Problem("augment", "mixup and cutmix are for classification only")
