"""`race` for LangChain: several runnables side by side, of which the first acceptable answers.

Each path is a child run of the race's own run, with its tags, metadata and callbacks. A path that
lost is cancelled under asyncio; in a thread it ends where its next step would begin (`_path_runs`).
"""

from __future__ import annotations

import copy
import inspect
from typing import TYPE_CHECKING, Any, cast

from langchain_core.runnables import (
    Runnable,
    RunnableConfig,
    RunnableLambda,
    RunnableSerializable,
)
from langchain_core.runnables.base import coerce_to_runnable
from langchain_core.runnables.config import (
    call_func_with_variable_args,
    patch_config,
    set_config_context,
)
from langchain_core.runnables.utils import (
    ConfigurableFieldSpec,
    Input,
    Output,
    coro_with_context,
    get_unique_config_specs,
)
from pydantic import ConfigDict

from accel_core.drive.aio import in_own_thread
from accel_core.racing import TIMEOUT_S, Accept, Path, Terms, named, terms
from langchain_accel._path_runs import PathRuns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from langchain_core.runnables.base import RunnableLike

    from accel_core.accel import Accel


def race(
    paths: Mapping[str, RunnableLike[Input, Output]] | Iterable[RunnableLike[Input, Output]],
    *,
    accept: Accept,
    timeout_s: float = TIMEOUT_S,
    after_s: Sequence[float] = (),
    accel: Accel | None = None,
) -> RunnableRace[Input, Output]:
    """Return a runnable that asks several `paths` at once and returns the first acceptable answer.

    The last path is the standard one: what you would ask without a race. Its answer is returned as
    it is, what it raises is raised (unless another answer was accepted), and no time is set to it.
    The answers of the others count only if `accept` says so; one that fails, is refused or is late
    changes nothing. The rest are cancelled, and give back what they hold of a limiter.

    Every path that starts is really gone: none should change anything outside, nor its input.
    A stream of the race is its answer in one piece, since only whole answers can be judged.

    Args:
        paths: runnables, functions or mappings of them, by name or in order; at least two. Their
            names are those in events and in the tags ``race:name``.
        accept: whether an answer is good enough; may be a coroutine function where the race is only
            asked by ``ainvoke`` and the like. What it raises refuses the answer.
        timeout_s: how long the others may take in all, seconds, > 0.
        after_s: when each path starts, seconds, one for each path, in [0, timeout_s); earlier where
            nothing runs any more. Empty: all at once. What has not started costs nothing.
        accel: receives what became of each race (`race_events.PathsRaced`, ``stats().raced``); None
            takes this process's default.

    Raises:
        ConfigError: there are fewer than two paths, or a time is out of range.
        TypeError: a path is no runnable, or `accept` no function.

    Example:
        >>> answer = race(  # doctest: +SKIP
        ...     {"small": small_model, "large": large_model},
        ...     accept=lambda message: "I don't know" not in message.text,
        ...     after_s=(0, 0.5),
        ... )
    """
    from accel_core.default import chosen_accel

    runnables: dict[str, Any] = {
        name: coerce_to_runnable(path) for name, path in named(paths, _name).items()
    }
    return RunnableRace(
        paths=runnables,
        terms=terms(len(runnables), accept, timeout_s, after_s),
        accel=chosen_accel(accel),
    )


def _name(path: Any) -> str:
    name: str = coerce_to_runnable(path).get_name()
    return name


def _apart(path: Runnable[Input, Output]) -> Runnable[Input, Output]:
    """Return `path`; where it is a function that blocks, as one in a thread of its own.

    LangChain calls it in a thread of the loop's, for which `asyncio.run` waits though it has lost.
    """
    if not isinstance(path, RunnableLambda) or hasattr(path, "afunc"):
        return path
    function = path.func
    if inspect.isgeneratorfunction(function):
        return path

    async def afunc(asked: Any, run_manager: Any, config: RunnableConfig, **kwargs: Any) -> Any:
        manager = run_manager.get_sync()
        return await in_own_thread(
            call_func_with_variable_args, function, asked, config, manager, **kwargs
        )

    made = copy.copy(path)
    made.afunc = afunc
    return made


class RunnableRace(RunnableSerializable[Input, Output]):
    """What `race` returns.

    Attributes:
        paths: by name, the standard one last.
        terms: by which the race is run.
        accel: told of it.
    """

    paths: dict[str, Runnable[Input, Output]]
    terms: Terms
    accel: Any

    model_config = ConfigDict(arbitrary_types_allowed=True)

    @property
    def standard(self) -> Runnable[Input, Output]:
        """The standard path."""
        return list(self.paths.values())[-1]

    @property
    def InputType(self) -> type[Input]:  # noqa: N802 - LangChain's name
        """What the standard path takes."""
        return self.standard.InputType

    @property
    def OutputType(self) -> type[Output]:  # noqa: N802 - LangChain's name
        """What the standard path returns."""
        return self.standard.OutputType

    def get_input_schema(self, config: RunnableConfig | None = None) -> Any:
        """Return the standard path's."""
        return self.standard.get_input_schema(config)

    def get_output_schema(self, config: RunnableConfig | None = None) -> Any:
        """Return the standard path's."""
        return self.standard.get_output_schema(config)

    @property
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        """What can be configured in any path."""
        return get_unique_config_specs(
            spec for path in self.paths.values() for spec in path.config_specs
        )

    def invoke(
        self,
        input: Input,  # noqa: A002
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Output:
        """Return the first acceptable answer; each path in a thread."""
        return self._call_with_config(self._race, input, config, **kwargs)

    async def ainvoke(
        self,
        input: Input,  # noqa: A002
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Output:
        """Async form of `invoke`: each path in a task."""
        return await self._acall_with_config(self._arace, input, config, **kwargs)

    def _race(
        self, asked: Input, run_manager: Any, config: RunnableConfig, **kwargs: Any
    ) -> Output:
        def path(name: str, runnable: Runnable[Input, Output]) -> Path:
            async def run() -> Output:
                with PathRuns(run_manager.get_child(f"race:{name}")) as runs:
                    child = patch_config(config, callbacks=runs.callbacks)
                    with set_config_context(child) as context:
                        return context.run(runnable.invoke, asked, child, **kwargs)

            return Path(name, run)

        paths = [path(name, runnable) for name, runnable in self.paths.items()]
        return cast("Output", self.accel.racing.run(paths, self.terms))

    async def _arace(
        self, asked: Input, run_manager: Any, config: RunnableConfig, **kwargs: Any
    ) -> Output:
        def path(name: str, runnable: Runnable[Input, Output]) -> Path:
            async def run() -> Output:
                async with PathRuns(run_manager.get_child(f"race:{name}")) as runs:
                    child = patch_config(config, callbacks=runs.callbacks)
                    with set_config_context(child) as context:
                        flow = _apart(runnable).ainvoke(asked, child, **kwargs)
                        return await coro_with_context(flow, context, create_task=True)

            return Path(name, run)

        paths = [path(name, runnable) for name, runnable in self.paths.items()]
        return cast("Output", await self.accel.racing.arun(paths, self.terms))
