"""What a retriever or an engine is asked, and what its answer rests on.

Its corpora are the stores and indices found in it (`_settings`), which are watched from the first
call on, or the corpus that it was given by name.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from llama_index.core.indices.vector_store.retrievers.retriever import VectorIndexRetriever
from llama_index.core.vector_stores.simple import SimpleVectorStore
from llama_index.core.vector_stores.types import VectorStoreQueryMode

from accel_core.policy.identity import Prompt, Turn
from accel_core.policy.nameless import token
from accel_core.retrieval import Ask
from accel_core.subclasses import own_class
from accel_core.watching import unwatched
from llamaindex_accel._identity import controls_of_call, temperature
from llamaindex_accel._settings import Settings
from llamaindex_accel._turns import file_content
from llamaindex_accel._watch import watch

if TYPE_CHECKING:
    from llama_index.core.schema import QueryBundle

    from accel_core.accel import Accel
    from accel_core.place import Place
    from accel_core.policy.controls import Controls
    from accel_core.policy.identity import Request

_NEAREST_ONLY = frozenset({SimpleVectorStore})
"""Stores that return the nearest vectors and nothing else.

In others, rank fusion or word statistics let a document change results that it is not in.
"""


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
    place: Place,
    settings: Settings,
    asked: Any,
    kind: str,
    question: QueryBundle,
    *,
    speaks: bool = False,
) -> Ask | None:
    """Name a call of a retriever or an engine; None: it bypasses the cache.

    Args:
        place: where its answers are kept.
        settings: reads what it is made of.
        asked: the retriever or engine.
        kind: which shape of answer it gives.
        question: what it is asked.
        speaks: whether the answer is said to somebody.
    """
    controls = admitted(place.accel)
    if controls is None:
        return None
    try:
        made = settings.of(asked)
        for store in settings.stores:
            watch(store, place.accel, place.corpus)
    except Exception:  # foreign objects raise what they like, and stores may come later
        place.accel.bypass("unidentifiable")
        return None
    corpora = place.corpora(settings.stores or [asked])
    if not place.by_name:
        made = [made, None if settings.stores else token(asked)]
    model = [made, place.corpus, place.version, _beside_words(question)]
    request = request_of(place, settings, kind, model, question.query_str, controls=controls)
    if request is None:
        return None
    return Ask(request, tuple(corpus.key for corpus in corpora), speaks, controls)


def admitted(accel: Accel) -> Controls | None:
    """Read a call's wishes; None: it bypasses the cache."""
    if accel.config.retrieval.enabled:
        return controls_of_call(accel)
    accel.bypass("disabled")
    return None


def request_of(
    place: Place, settings: Settings, kind: str, model: Any, words: str, *, controls: Controls
) -> Request | None:
    """Name a request, of what `settings` has read; None: it is not to be cached."""
    accel = place.accel
    if not all(accel.admits(temperature(llm, {})) for llm in settings.llms):
        return None
    named = Prompt(f"llamaindex.{kind}", model, (Turn("user", (words,)),), source=kind)
    return accel.identify(
        named._replace(tenant=accel.current_tenant(), namespace=accel.namespace(controls.namespace))
    )


def _beside_words(question: QueryBundle) -> Any:
    """Spell what of a question is not its words."""
    image = question.image_path
    return [
        question.custom_embedding_strs,
        question.embedding and [float(value) for value in question.embedding],
        image and file_content(image),
    ]


def is_precise(retriever: Any) -> bool:
    """Whether removing a document that was not found leaves what was found as it is."""
    return (
        own_class(type(retriever)) is VectorIndexRetriever
        and unwatched(type(retriever._vector_store)) in _NEAREST_ONLY
        and retriever._vector_store_query_mode is VectorStoreQueryMode.DEFAULT
        and not retriever._kwargs
    )
