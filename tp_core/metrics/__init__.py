"""Facts about metrics: whether low or high values are better, and how the final number is computed. Torch-free.

A target or processor returns the state of a metric as tensors. There are two kinds. Most states are summed over
batches and processes, such as (sum, count) or the counts per class. A :class:`tp_core.interfaces.Joined` is
concatenated row by row, for metrics that sums cannot express, such as the area under the ROC curve. The config declares
each metric (``TargetConfig.measures``, ``ProcessorConfig.measures``) as :class:`MetricFacts`, with the function that
computes the number from the complete state.
"""

from tp_core.metrics.classes import AUC, F1, F1_MACRO, F1_MICRO, MATTHEWS
from tp_core.metrics.correlation import PEARSON, SPEARMAN
from tp_core.metrics.facts import MetricFacts, ratio

__all__ = ["AUC", "F1", "F1_MACRO", "F1_MICRO", "MATTHEWS", "PEARSON", "SPEARMAN", "MetricFacts", "ratio"]
