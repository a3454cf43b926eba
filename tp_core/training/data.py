"""Training and evaluation data of a run."""

from __future__ import annotations

from collections.abc import Callable

from tp_core.artifacts.contents import Contents
from tp_core.data.build import build_processor
from tp_core.data.cache.prepared import prepared_rows
from tp_core.data.routing import Feed, route_of
from tp_core.data.sampling.mixture import DataSet
from tp_core.errors import DataError
from tp_core.interfaces import Tokenizer
from tp_core.processes.agreement import first_then_others
from tp_core.processes.group import ProcessGroup
from tp_core.spec.context import data_context
from tp_core.spec.schema import Spec
from tp_core.training.class_counts import tell_balance
from tp_core.training.contents import data_place
from tp_core.training.evaluation import Evaluator


def data_sets(
    spec: Spec, tokenizer: Tokenizer | None, contents: Contents, processes: ProcessGroup, say: Callable[[str], None]
) -> tuple[list[DataSet], Evaluator | None]:
    """Training sets and evaluator. The first process prepares the data, the others then find the cache.

    A run without steps may have no training sets.

    Raises:
        DataError: the data cannot be used; every process raises an error.
    """
    training: list[DataSet] = []
    held_out: list[DataSet] = []
    options = spec.train.options

    def prepare() -> None:
        for name, own in spec.sets().items():
            processor = build_processor(spec, tokenizer, name)
            assert processor is not None
            share = own.data.mixing.share
            assert own.data.processor is not None
            config, given, context = own.data.processor.config, own.data.options, data_context(own)
            feed = Feed(processor, route_of(spec, name))
            if given.train is not None:
                rows = prepared_rows(own, processor, given.given("train"), say, contents[data_place(name, "train")])
                for problem in config.check_rows(rows, context):
                    raise DataError(f"{own.data.processor.path}.{problem.option}: {problem.message}")
                classes = config.class_column(context)
                data = DataSet(name, rows, feed, share, given.bucket, config.length_column, given.balance, classes)
                tell_balance(spec, data, say)
                training.append(data)
            if own.data.options.eval is not None:
                rows = prepared_rows(
                    own, processor, own.data.options.given("eval"), say, contents[data_place(name, "eval")]
                )
                held_out.append(DataSet(name, rows, feed, share))

    first_then_others(processes, prepare)
    if not held_out:
        return training, None
    size = options.eval_batch_size or options.batch_size
    limit = options.timeout_seconds()
    return training, Evaluator(held_out, size, options.seed, options.eval_batches, options.workers, limit)
