"""Chat models of OpenAI's clients kept within a provider's limits.

The copy's own clients are replaced by limited ones that retry nothing themselves: attempts of two
layers multiply. The user's model, its clients, and an HTTP client that models share stay untouched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from accel_core.errors import UnsupportedError

if TYPE_CHECKING:
    from langchain_core.language_models.chat_models import BaseChatModel

    from accel_core.limiter import Limiter

_CLIENTS = (("root_client", "client"), ("root_async_client", "async_client"))


def limit(model: BaseChatModel, limiter: Limiter) -> None:
    """Let `model`, a copy of the user's, ask through `limiter`.

    Raises:
        UnsupportedError: it has no clients of OpenAI's library.
    """
    fields = vars(model)
    changed: dict[str, Any] = {}
    for root_name, name in _CLIENTS:
        root = fields.get(root_name)
        if root is None:
            continue
        changed[root_name] = limiter.limited(root)
        changed[name] = changed[root_name].chat.completions
    if not changed:
        raise UnsupportedError(
            "a limiter works for chat models that ask through clients of the openai library "
            "(ChatOpenAI, AzureChatOpenAI and those built on them); for others give their SDK "
            f"limiter.limited(httpx.Client()); got {type(model).__name__}"
        )
    # Not by attributes: a model may validate what is assigned, and build its clients again.
    fields.update(changed)
