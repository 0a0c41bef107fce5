"""What a retriever or an engine is asked, and what its answer rests on.

Its corpora are the stores and indices found in it (`_readings`), which are watched from the first
call on, or the corpus that it was given by name.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from llama_index.core.schema import QueryBundle

from accel_core.policy.identity import Prompt, Turn
from accel_core.retrieval import Ask
from accel_core.subclasses import MARK
from llamaindex_accel._identity import controls_of_call, temperature
from llamaindex_accel._readings import read
from llamaindex_accel._settings import Settings
from llamaindex_accel._turns import file_content
from llamaindex_accel._watch import watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from llama_index.core.base.llms.base import BaseLLM
    from llama_index.core.schema import QueryType

    from accel_core.asking import Asking
    from accel_core.place import Place
    from accel_core.policy.controls import Controls
    from accel_core.policy.identity import Request
    from llamaindex_accel._readings import Reading


def watch_stores_in(value: Any, place: Place) -> None:
    """Watch the stores in `value`; none where it cannot be read, which its calls then report.

    Raises:
        UnsupportedError: one cannot be watched, and the corpus has no name.
    """
    settings = Settings(by_name=place.by_name)
    with contextlib.suppress(Exception):  # foreign objects raise what they like
        settings.of(value)
    for store in settings.stores:
        watch(store, place.accel, place.corpus)


def ask_of(
    accel: Asking,
    place: Place,
    asked: Any,
    kind: str,
    question: QueryBundle,
    *,
    speaks: bool = False,
) -> tuple[Ask, Reading] | None:
    """Name a call of a retriever or an engine; None: it bypasses the cache.

    Args:
        accel: names it.
        place: where its answers are kept.
        asked: the retriever or engine.
        kind: which shape of answer it gives.
        question: what it is asked.
        speaks: whether the answer is said to somebody.
    """
    controls = admitted(accel)
    if controls is None:
        return None
    try:
        reading = read(place, asked)
    except Exception:  # foreign objects raise what they like, and stores may come later
        accel.bypass("unidentifiable")
        return None
    model = (reading.settings, place.corpus, place.version, _beside_words(question))
    words = question.query_str
    request = request_of(accel, reading.llms, kind, model, words, controls=controls)
    return None if request is None else (Ask(request, reading.corpora, speaks, controls), reading)


def explained(kind: str, *, speaks: bool = False) -> Callable[..., Any]:
    """Return what names calls of retrievers, or of engines, as `asking.NAMES` demands."""

    def names(accel: Asking, asked: Any, question: QueryType) -> Any:
        place: Place = getattr(type(asked), MARK)
        bundle = QueryBundle(question) if isinstance(question, str) else question
        named = ask_of(accel, place, asked, kind, bundle, speaks=speaks)
        return (None, None) if named is None else (named[0], named[0].controls)

    return names


def admitted(accel: Asking) -> Controls | None:
    """Read a call's wishes; None: it bypasses the cache."""
    if accel.config.retrieval.enabled:
        return controls_of_call(accel)
    accel.bypass("disabled")
    return None


def request_of(
    accel: Asking,
    llms: Iterable[BaseLLM],
    kind: str,
    model: Any,
    words: str,
    *,
    controls: Controls,
) -> Request | None:
    """Name a request that `llms` may be asked for; None: it is not to be cached."""
    if not all(accel.admits(temperature(llm, {})) for llm in llms):
        return None
    return accel.identify(
        Prompt(
            f"llamaindex.{kind}",
            model,
            (Turn("user", (words,)),),
            tenant=accel.current_tenant(),
            namespace=accel.namespace(controls.namespace),
            source=kind,
        )
    )


def _beside_words(question: QueryBundle) -> Any:
    """Spell what of a question is not its words."""
    image = question.image_path
    return [
        question.custom_embedding_strs,
        question.embedding and [float(value) for value in question.embedding],
        image and file_content(image),
    ]
