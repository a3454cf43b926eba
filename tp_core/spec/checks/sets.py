"""The data sets of a spec name targets and streams that the model has."""

from __future__ import annotations

from tp_core.options.ports import TASK_IDS
from tp_core.spec.choices.module_nodes import node_of, placed
from tp_core.spec.choices.module_ports import fields
from tp_core.spec.errors import Problems
from tp_core.spec.schema import Spec
from tp_core.suggest import did_you_mean


def check_sets(spec: Spec, problems: Problems) -> bool:
    """True if the model has all targets and streams that the data sets name; otherwise problems are reported."""
    root = spec.tree
    known = {"targets": [t.instance_name for t in spec.model.targets], "streams": [n for n in spec.model.streams if n]}
    right = True
    for name, part in spec.data.sets.items():
        for key, names in known.items():
            given = getattr(part.mixing, key)
            for number, each in enumerate(given or ()):
                if each not in names:
                    near = did_you_mean(each, names) or f"the {key} are {', '.join(names) or 'none'}"
                    node = root.find(("data", "sets", name, key, number))
                    problems.add(f"data.sets.{name}.{key}", f"the model has no {key[:-1]} '{each}'; {near}", node)
                    right = False
            if given == [] and key == "streams":  # an empty list of targets is only a problem for training
                message = f"is empty; leave it out for all of the model's {key}"
                problems.add(f"data.sets.{name}.{key}", message, root.find(("data", "sets", name, key)))
                right = False
    for name in spec.data.options.labels if spec.data.sets else ():
        if name not in known["targets"]:
            near = did_you_mean(name, known["targets"]) or f"the targets are {', '.join(known['targets']) or 'none'}"
            node = root.find(("data", "labels", name))
            problems.add(f"data.labels.{name}", f"the model has no target '{name}'; {near}", node, key=True)
            right = False
    for place in placed(spec) if spec.data.sets else ():
        chosen, tasks = place.chosen, fields(place.chosen.config, "requires", place.context).get(TASK_IDS)
        if tasks is not None and tasks.high is not None and tasks.high < len(spec.data.sets):
            message = f"is {tasks.high}, less than the {len(spec.data.sets)} data sets"
            problems.add(
                f"{chosen.path}.{tasks.option}".removesuffix("."), message, node_of(root, chosen, tasks.option)
            )
            right = False
    return right
