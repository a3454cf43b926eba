"""Code lines that each model adds, in the order of the paper's Table 2 (TencentPretrain, ACL 2023).

The script counts the code lines of the ``nn.Module`` classes in a model, without comments, docstrings and blank lines.
It includes classes that an option of these classes could add; relative positions, for example, are part of the
transformer, not of T5. Each class counts for the first model that uses it. A separate column counts all other functions
and classes in the files of these classes (rotation of heads, cross entropy in chunks, ...) and in files with functions
that these classes call (masks, positions of a picture after a text, ...). The composition of the five components
(``tp_core/model.py``) belongs to every model and counts for the first.

    python benchmarks/implementation_cost.py
"""

from __future__ import annotations

import ast
import inspect
import sys
from functools import cache
from types import FunctionType, ModuleType

from torch import nn

from tp_core import load_spec
from tp_core.model import meta_model
from tp_core.spec.schema import Spec

#: The preset in tp, and the paper's figures for TencentPretrain and Hugging Face Transformers. The paper has no figure
#: for the classifier, because it counts ViT as "+patch" only. SBERT represents the classifier here.
MODELS: dict[str, tuple[str, int | None, int | None]] = {
    "Transformer": ("transformer-base", 795, 1135),
    "+BERT": ("bert-base", 149, 822),
    "+RoBERTa": ("roberta-base", 0, 696),
    "+GPT-2": ("gpt2", 0, 688),
    "+T5": ("t5-small", 0, 1008),
    "+SBERT": ("sbert-base", None, None),
    "+ViT": ("vit-base", 59, 493),
    "+S2T": ("s2t-small", 51, 824),
    "+ViLT": ("vilt-b32", 15, 618),
}


def code_lines(node: ast.AST, source: list[str]) -> set[int]:
    """Line numbers of the code lines of a node, without blank lines, comments and docstrings."""
    assert isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.Assign, ast.AnnAssign))
    first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
    lines = set(range(first, (node.end_lineno or first) + 1))
    for inner in ast.walk(node):
        if isinstance(inner, (ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(inner) is not None:
            text = inner.body[0]
            lines -= set(range(text.lineno, (text.end_lineno or text.lineno) + 1))
    return {n for n in lines if source[n - 1].strip() and not source[n - 1].strip().startswith("#")}


@cache
def parts(module: ModuleType) -> tuple[dict[str, int], int]:
    """Code lines of each module class in a file, and of everything else except imports."""
    text = inspect.getsource(module)
    source, classes, rest = text.splitlines(), dict[str, int](), 0
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef) and issubclass(getattr(module, node.name), nn.Module):
            classes[node.name] = len(code_lines(node, source))
        elif isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.Assign, ast.AnnAssign)):
            rest += len(code_lines(node, source))
    return classes, rest


def own_classes(spec: Spec) -> list[type]:
    """The toolkit's classes of a model's modules, including base classes and classes that their code names."""
    model = meta_model(spec)
    open_ends = [cls for module in model.modules() for cls in type(module).__mro__]
    found: dict[type, None] = {}
    while open_ends:
        cls = open_ends.pop()
        if cls not in found and _is_ours(cls):
            found[cls] = None
            open_ends += [named for named in mentioned(cls) if isinstance(named, type)]
    return list(found)


def _is_ours(cls: type) -> bool:
    return issubclass(cls, nn.Module) and cls.__module__.startswith("tp_")


@cache
def mentioned(cls: type) -> tuple[object, ...]:
    """The objects that a class's code names: other objects of its file, and imports."""
    names = {node.id for node in ast.walk(ast.parse(inspect.getsource(cls))) if isinstance(node, ast.Name)}
    known = vars(sys.modules[cls.__module__])
    return tuple(known[name] for name in names if name in known)


def functions(cls: type) -> list[FunctionType]:
    """The toolkit's functions that a class's code names."""
    return [each for each in mentioned(cls) if isinstance(each, FunctionType) and each.__module__.startswith("tp_")]


def main() -> None:
    seen: set[type] = set()
    files: set[str] = set()
    total = 0
    print(f"{'model':<14}{'classes':>9}{'other code':>12}{'paper':>8}{'Hugging Face':>14}   new classes")
    for name, (preset, paper, hugging_face) in MODELS.items():
        new = [cls for cls in own_classes(load_spec(preset)) if cls not in seen]
        seen.update(new)
        lines = sum(parts(sys.modules[cls.__module__])[0][cls.__name__] for cls in new)
        fresh = {cls.__module__ for cls in new} | {called.__module__ for cls in new for called in functions(cls)}
        fresh -= files
        files |= fresh
        other = sum(parts(sys.modules[file])[1] for file in fresh)
        total += lines
        shown = ", ".join(sorted(cls.__name__ for cls in new))
        theirs = f"{'-' if paper is None else paper:>8}{'-' if hugging_face is None else hugging_face:>14}"
        print(f"{name:<14}{lines:>9}{other:>12}{theirs}   {shown}")
    papers, others = sum(row[1] or 0 for row in MODELS.values()), sum(row[2] or 0 for row in MODELS.values())
    print(f"{'all':<14}{total:>9}{'':>12}{papers:>8}{others:>14}")


if __name__ == "__main__":
    main()
