"""Names that a spec gives to parts of the model: names of streams, and own names of targets. Torch-free."""

import re

_FORM = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")

#: Attributes of PyTorch's module containers, which cannot be names of parts.
TAKEN = frozenset(
    [
        "T_destination",
        "add_module",
        "apply",
        "bfloat16",
        "buffers",
        "call_super_init",
        "children",
        "clear",
        "compile",
        "cpu",
        "cuda",
        "double",
        "dump_patches",
        "eval",
        "extra_repr",
        "float",
        "forward",
        "get_buffer",
        "get_extra_state",
        "get_parameter",
        "get_submodule",
        "half",
        "ipu",
        "items",
        "keys",
        "load_state_dict",
        "modules",
        "mtia",
        "named_buffers",
        "named_children",
        "named_modules",
        "named_parameters",
        "parameters",
        "pop",
        "register_backward_hook",
        "register_buffer",
        "register_forward_hook",
        "register_forward_pre_hook",
        "register_full_backward_hook",
        "register_full_backward_pre_hook",
        "register_load_state_dict_post_hook",
        "register_load_state_dict_pre_hook",
        "register_module",
        "register_parameter",
        "register_state_dict_post_hook",
        "register_state_dict_pre_hook",
        "requires_grad_",
        "set_extra_state",
        "set_submodule",
        "share_memory",
        "state_dict",
        "to",
        "to_empty",
        "train",
        "training",
        "type",
        "update",
        "values",
        "xpu",
        "zero_grad",
    ]
)


def fault_of(name: str) -> str | None:
    """The reason why a name is not allowed for a part; None if it is allowed."""
    if not _FORM.fullmatch(name):
        return f"the name '{name}' must begin with a letter and have only letters, digits, '_' and '-'"
    return f"the name '{name}' is reserved by PyTorch; choose another" if name in TAKEN else None


def key_of(name: str) -> str:
    """A part's name as it stands in the names of its weights, where dots separate parts: another for each name.

    A dot becomes a colon, and a colon two: ``acme.gates`` and ``acme_mixer`` have weights of their own.
    """
    key = name.replace(":", "::").replace(".", ":")
    return f"{key}:" if key in TAKEN else key
