"""Facts about metrics: which way is better, and how their sums or rows become a number. Torch-free.

A target or processor gives a metric as tensors, of which there are two kinds: those that add up over batches and
processes, such as (sum, count) or the counts of each class, and those that are joined
(:class:`tp_core.interfaces.Joined`), row by row, where no sums are enough, such as all scores with their labels. Its
config declares the metric (``TargetConfig.measures``, ``ProcessorConfig.measures``) as :class:`MetricFacts`, with the
function that makes a number of the tensors when they are complete.
"""

from tp_core.metrics.classes import AUC, F1, F1_MACRO, F1_MICRO, MATTHEWS
from tp_core.metrics.correlation import PEARSON, SPEARMAN
from tp_core.metrics.facts import MetricFacts, ratio

__all__ = ["AUC", "F1", "F1_MACRO", "F1_MICRO", "MATTHEWS", "PEARSON", "SPEARMAN", "MetricFacts", "ratio"]
