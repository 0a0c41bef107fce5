"""What speculation is made of, by the application's configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_core.tools import BaseTool

from accel_core.default import chosen_accel
from accel_core.errors import UnsupportedError
from accel_core.permits import Permits
from accel_core.prediction.mined import chosen_predictors
from langchain_accel._speculation import Speculation
from langchain_accel._speculation_runs import runs_of
from langchain_accel.draft_model import DraftModel

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterable

    from langchain_core.language_models.chat_models import BaseChatModel

    from accel_core.accel import Accel
    from accel_core.speculating import Predictor
    from accel_core.tool_speculator import ToolSpeculator


def speculation_of(
    allowed: Collection[str],
    predictors: Iterable[Predictor] | None,
    learned: str | os.PathLike[str] | None,
    draft: BaseChatModel | None,
    accel: Accel | None,
) -> Speculation:
    """Return speculation over a set of tools.

    Args:
        allowed: names of those free of side effects, beside what was declared so.
        predictors: who guesses; None takes the default ones.
        learned: the file of what the default ones know already.
        draft: a model that guesses, if any.
        accel: the configured object; None takes this process's default.

    Raises:
        ConfigError: both `predictors` and `learned` are given.
        FileError: `learned` is not such a file.
        UnsupportedError: `draft` is no chat model.
    """
    if draft is not None and not hasattr(draft, "bind_tools"):
        msg = f"draft= takes a chat model, such as ChatOpenAI(...); got {type(draft).__name__}"
        raise UnsupportedError(msg)
    used = chosen_accel(accel)
    given = None if predictors is None else tuple(predictors)

    def make() -> ToolSpeculator:
        drafters = [] if draft is None else [DraftModel(draft)]
        return used.speculator(chosen_predictors(given, learned), drafters=drafters)

    own = None if given is None else tuple(map(id, given))
    runs = runs_of(used, (own, str(learned), id(draft)), make)
    permits = Permits(allowed, enabled=used.config.speculation.enabled)
    return Speculation(runs, (used.permits, permits))


def name_of(tool: object) -> str | None:
    """Return what models call `tool` by; None: it is no tool."""
    return tool.name if isinstance(tool, BaseTool) else None
