"""Which words of a rendered template are the question, so that its context is not compared.

A query engine asks with one text of context and question. Compared whole, the same question about
changed documents looks like the same text. So an accelerated model remembers what it rendered last,
and from what: of a template with a ``query_str``, or with one variable, that value may be compared
by meaning, and everything around it must be equal; of any other, nothing is compared.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_QUERY = "query_str"


class Rendered(NamedTuple):
    """What a template became: messages or a prompt. ``question`` is the value to compare."""

    result: Any
    question: str | None


_last: ContextVar[Rendered | None] = ContextVar("accel_llamaindex_rendered", default=None)


def rendering_of(asked: Any) -> Rendered | None:
    """Return how `asked` was rendered; None: it is the caller's own."""
    last = _last.get()
    if last is None or not (last.result is asked or _ends_alike(last.result, asked)):
        return None
    return last


def _ends_alike(rendered: Any, asked: Any) -> bool:
    """Whether both are messages with the same last one: some integrations copy the list."""
    both = isinstance(rendered, list) and isinstance(asked, (list, tuple))
    return both and bool(rendered) and bool(asked) and rendered[-1] is asked[-1]


def _question(prompt: Any, values: Mapping[str, Any]) -> str | None:
    """Return the value to compare."""
    given = {**getattr(prompt, "kwargs", {}), **values}
    found = given.get(_QUERY)
    if _QUERY not in given and len(given) == 1:
        (found,) = given.values()
    return found if isinstance(found, str) and found.strip() else None


def make_render(own: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a method that renders a template with values."""

    def method(self: Any, prompt: Any, **values: Any) -> Any:
        result = own(self, prompt, **values)
        _last.set(Rendered(result, _question(prompt, values)))
        return result

    return method


def make_extend(own: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the method that every rendered list of messages passes, structured prediction's too."""

    def method(self: Any, messages: Any) -> Any:
        result = own(self, messages)
        _last.set(Rendered(result, None))
        return result

    return method


RENDERING = {
    "_get_messages": make_render,
    "_get_prompt": make_render,
    "_extend_messages": make_extend,
}
