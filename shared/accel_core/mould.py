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
    defaults, private = dict(vars(template)), template.__pydantic_private__
    extensible, all_set = template.__pydantic_extra__ is not None, set(defaults)

    def cast(fields: dict[str, Any]) -> Any:
        if fields.keys() != all_set:  # written by another version of the framework
            fields = {**defaults, **{name: fields[name] for name in all_set & fields.keys()}}
        made = make(kind)
        put(made, "__dict__", fields)
        put(made, "__pydantic_fields_set__", all_set.copy())
        put(made, "__pydantic_extra__", {} if extensible else None)
        put(made, "__pydantic_private__", private)
        return made

    return cast
