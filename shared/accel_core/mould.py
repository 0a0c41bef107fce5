"""Objects of Pydantic classes made from fields that were validated when they were stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def mould(template: Any) -> Callable[[dict[str, Any]], Any]:
    """Return what makes objects of the template's class without validating their fields again.

    Args:
        template: a Pydantic model. What it has beside its fields, all its casts have.
    """
    kind: Any = type(template)
    make, put = kind.__new__, object.__setattr__
    # By their slots, which takes half as long as by their names.
    put_set = kind.__pydantic_fields_set__.__set__
    put_extra = kind.__pydantic_extra__.__set__
    put_private = kind.__pydantic_private__.__set__
    defaults, private = dict(vars(template)), template.__pydantic_private__
    extensible, all_set = template.__pydantic_extra__ is not None, set(defaults)

    def cast(fields: dict[str, Any]) -> Any:
        if fields.keys() != all_set:  # written by another version of the framework
            fields = {**defaults, **{name: fields[name] for name in all_set & fields.keys()}}
        made = make(kind)
        put(made, "__dict__", fields)
        put_set(made, all_set.copy())
        put_extra(made, {} if extensible else None)
        put_private(made, private)
        return made

    return cast
