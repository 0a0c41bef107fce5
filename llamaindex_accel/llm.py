"""Language models accelerated by a generated subclass of the user's own class.

The copy stays an instance of its class, so ``isinstance``, ``metadata``, private attributes, tools,
structured output and agents work as before. Overridden are the eight methods that ask the model
(`_methods`), and what renders templates, to listen (`_templates`). The eight are marked as already
in a span: a miss then has exactly the spans and events of the user's own method, and a hit has none
but `CacheHitEvent`.

State lives on the generated class, not on the instance: ``model_copy`` makes new instances of it.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from llama_index_instrumentation.dispatcher import DISPATCHER_SPAN_DECORATED_ATTR

from accel_core.asking import NAMES
from accel_core.policy.providers import provider_of
from accel_core.steps import Tagged
from accel_core.subclasses import MARK, generated, own_class, subclass
from llamaindex_accel._limits import limit, limited_getters
from llamaindex_accel._methods import METHODS, TOLD, explained
from llamaindex_accel._templates import RENDERING

if TYPE_CHECKING:
    from llama_index.core.base.llms.base import BaseLLM

    from accel_core.accel import Accel
    from accel_core.limiter import Limiter


def accelerate_llm(llm: BaseLLM, accel: Accel, limiter: Limiter | None = None) -> BaseLLM:
    """Return a copy of `llm` that answers from `accel`; `llm` is untouched.

    A copy that is limited stays so where no `limiter` is given.
    """
    if getattr(type(llm), MARK, None) is accel and limiter is None:
        return llm
    made = original(llm)
    if limiter is not None:
        limit(made, limiter)
    base = type(made)
    kind = generated(accel, base, lambda: _subclass(base, accel))
    object.__setattr__(made, "__class__", kind)
    return made


def original(llm: BaseLLM) -> BaseLLM:
    """Return a copy of `llm` of the user's own class."""
    made = llm.model_copy()
    object.__setattr__(made, "__class__", own_class(type(made)))  # a frozen model would refuse
    return made


def _subclass(base: type[BaseLLM], accel: Accel) -> type[BaseLLM]:
    namespace: dict[str, Any] = {
        "__reduce__": lambda self: (accelerate_llm, (original(self), accel)),
        MARK: accel,
        TOLD: Tagged(None, provider_of(base)),
        NAMES: staticmethod(explained),
        **limited_getters(base),
    }
    for name, (kind, make) in METHODS.items():
        method = functools.update_wrapper(make(kind, name, base, accel), getattr(base, name))
        setattr(method, DISPATCHER_SPAN_DECORATED_ATTR, True)
        namespace[name] = method
    for name, wrap in RENDERING.items():
        if hasattr(base, name):
            own = getattr(base, name)
            namespace[name] = functools.update_wrapper(wrap(own), own)
    return subclass(base, namespace)
