"""One call of an embedding model as an adapter sees it: its texts become vectors, kept ones first.

While the model's own method runs, what it calls on the same object is its own business, too: most
async methods call the sync ones, and many embed a query as a document or a batch one by one.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from accel_core.embedding_usage import Answers, heard
from accel_core.policy.identity import Prompt
from accel_core.policy.model_fields import described
from accel_core.policy.model_names import model_named
from accel_core.policy.providers import provider_of
from accel_core.recording import passes_by
from accel_core.steps import Step

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from accel_core.accel import Accel
    from accel_core.embedding_cache import AsyncEmbed, Embed
    from accel_core.policy.controls import Controls

_INDIFFERENT = frozenset(
    "batch_size chunk_size embed_batch_size embeddings_cache max_retries num_workers"
    " show_progress_bar".split()
)
"""Fields and arguments that say how texts are sent, not what becomes of them."""

_inside: ContextVar[object] = ContextVar("accel_embedding", default=None)
"""The model whose own method runs."""


class EmbeddingCall(NamedTuple):
    """One call.

    Attributes:
        accel: serves and keeps vectors.
        kind: framework and purpose, for example ``langchain.embedding.query``; vectors of
            different kinds are never exchanged.
        model: the live model; its fields are read afresh at every call.
        own: the application's class of it.
        args: further arguments of the call, by place.
        kwargs: further arguments by name.
    """

    accel: Accel
    kind: str
    model: object
    own: type
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}

    @property
    def provider(self) -> str:
        """The provider's name, or ``""``."""
        return provider_of(self.own)

    @property
    def tags(self) -> None:
        """None: frameworks have no tags for embeddings."""

    @property
    def nested(self) -> bool:
        """Whether the model's own method makes this call."""
        return _inside.get() is self.model

    def vectors(self, texts: Any, embed: Embed) -> Sequence[Any]:
        """Return the vectors of `texts`, asking `embed` for those that are not kept."""
        step = self._begin()

        def ask(missing: list[str]) -> Sequence[Any]:
            with self._own(step):
                return embed(missing)

        with step:
            controls = self._controls(texts, step)
            if controls is None:
                return ask(texts)
            found = self.accel.embeddings.vectors(self._prompt(), texts, controls, ask)
            step.reused("exact")
            return found

    async def avectors(self, texts: Any, embed: AsyncEmbed) -> Sequence[Any]:
        """Async form of `vectors`."""
        step = self._begin()

        async def ask(missing: list[str]) -> Sequence[Any]:
            with self._own(step):
                return await embed(missing)

        with step:
            controls = self._controls(texts, step)
            if controls is None:
                return await ask(texts)
            found = await self.accel.embeddings.avectors(self._prompt(), texts, controls, ask)
            step.reused("exact")
            return found

    def _begin(self) -> Step:
        """Begin to record the call, unless the model's own method makes it."""
        if self.nested:
            return Step(None)
        step = self.accel.step("embeddings", model=self._model_name())
        if step.record is not None:
            step.record.told = self
        return step

    def _controls(self, texts: Any, step: Step) -> Controls | None:
        """Return the call's controls; None where it bypasses the cache."""
        if self.nested:
            return None
        # What is not as the interface says is the model's to refuse.
        regular = isinstance(texts, list) and texts and all(isinstance(t, str) for t in texts)
        controls = self.accel.controls(None, None) if regular else None
        if controls is None:
            step.passes_by(passes_by() if regular else "unsupported")
        return controls

    def _model_name(self) -> str:
        """Return a readable name of the model."""
        named = model_named(getattr(self.model, "model", None))
        return named or model_named(getattr(self.model, "model_name", None))

    def _prompt(self) -> Prompt:
        model = described(self.model, self.own, _INDIFFERENT)
        told = {name: value for name, value in self.kwargs.items() if name not in _INDIFFERENT}
        return Prompt(
            self.kind,
            {"model": model, "call": [self.args, told]},
            (),
            self.accel.current_tenant(),
            self.accel.namespace(""),
            self._model_name(),
        )

    @contextmanager
    def _own(self, step: Step) -> Iterator[None]:
        step.ask()
        answers = heard.get() if self.nested else Answers()
        inside = _inside.set(self.model)
        listening = heard.set(answers)
        if answers is not None and step.record is not None:
            step.used = answers.used
        try:
            yield
        finally:
            heard.reset(listening)
            _inside.reset(inside)
