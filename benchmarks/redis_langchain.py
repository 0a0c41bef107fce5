"""What a hit costs a LangChain application whose processes share a server, against langchain-redis.

Both are measured through `ChatOpenAI.invoke`, with one encoder, entries on one server that another
process stored, and the settings that they are shipped with, but for the peer's threshold, which
says what ours does. Questions are real paraphrases, those that both answer; our callback is taken
off while the peer is measured, for it would slow the peer.
"""

from __future__ import annotations

from contextlib import nullcontext
from http import HTTPStatus
from itertools import cycle
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_core.embeddings import Embeddings
from langchain_openai import ChatOpenAI
from openai import APIStatusError
from pydantic import SecretStr

from accel_core.testing.model_server import ModelServer
from accel_core.testing.replies import Reply, echo
from benchmarks import cache_parts as parts
from benchmarks import questions, redis_parts
from benchmarks.cache_hits import without_our_hook
from benchmarks.harness import Measured, Row, UnavailableError
from benchmarks.timing import ratio, timed
from langchain_accel import AccelCache

if TYPE_CHECKING:
    from langchain_core.caches import BaseCache

    from accel_core.ports import Encoder
    from accel_core.testing.replies import Request
    from benchmarks.harness import Context
    from benchmarks.timing import Contender
    from tools.redis_server import RedisServer

_UNKNOWN = "Is there anything that nobody ever asked?"


class _Encoded(Embeddings):
    """The encoder of both, as LangChain has it."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        rows: list[list[float]] = self._encoder.encode(texts).tolist()
        return rows

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


class _Model:
    """Answers, until it is told to refuse: then whoever asks it had no hit, and stores nothing."""

    def __init__(self) -> None:
        self.refusing = False

    def __call__(self, request: Request) -> str | Reply:
        return Reply(status=HTTPStatus.FORBIDDEN) if self.refusing else echo(request)


class _Desk(NamedTuple):
    """Two models that answer from what is stored, and questions.

    Attributes:
        server: what both share.
        bare: asks the model that now refuses.
        peer: answers from langchain-redis.
        ours: answers as a process does that has stored nothing itself.
        stored: questions that both have answers to.
        reworded: such that both answer with what is stored for another wording.
    """

    server: RedisServer
    bare: ChatOpenAI
    peer: ChatOpenAI
    ours: ChatOpenAI
    stored: list[str]
    reworded: list[str]


def desk(context: Context) -> _Desk:
    """Let both store answers; to be had by ``context.once``."""
    server = context.enter(redis_parts.running())
    model = _Model()
    url = context.enter(ModelServer(model)).url
    bare = ChatOpenAI(
        model="gpt-4o-mini",
        base_url=url,
        api_key=SecretStr("none"),
        temperature=0,
        max_retries=0,
    )
    clusters = questions.read_clusters(context.questions, context.seed, 1_000)
    stored = [cluster.asks[0] for cluster in clusters]
    stored += questions.situated(
        stored, context.pick(1_000, 300) - len(stored), Random(context.seed)
    )
    peer = _with(bare, _langchain_redis(context, server))
    encoder = context.once(parts.minilm)
    with redis_parts.joined(server.url, encoder) as accel:
        ours = _with(bare, AccelCache(accel))
        for number, question in enumerate(stored):
            ours.invoke(question)
            with without_our_hook():
                peer.invoke(question)
            context.report(number / len(stored))
    model.refusing = True
    probe, reworded = _reader(context, server, bare), [t for c in clusters for t in c.asks[1:]]
    with without_our_hook():
        reworded = [text for text in reworded if _tier(peer, text) is not None]
    reworded = [text for text in reworded if _tier(probe, text) == "semantic"]
    stored = [text for text in stored if _tier(probe, text) == "exact"]
    return _Desk(server, bare, peer, _reader(context, server, bare), stored, reworded)


def _langchain_redis(context: Context, server: RedisServer) -> BaseCache:
    try:
        from langchain_redis import RedisSemanticCache
    except ModuleNotFoundError as error:
        raise UnavailableError("needs langchain-redis: make bench-setup") from error
    cache: BaseCache = RedisSemanticCache(
        embeddings=_Encoded(context.once(parts.minilm)),
        redis_url=server.url,
        distance_threshold=redis_parts.DISTANCE,
    )
    return cache


def _with(model: ChatOpenAI, cache: BaseCache) -> ChatOpenAI:
    return model.model_copy(update={"cache": cache})


def _reader(context: Context, server: RedisServer, bare: ChatOpenAI, **options: Any) -> ChatOpenAI:
    """Return the model of a process that stored nothing, and knows what others did."""
    accel = context.enter(redis_parts.joined(server.url, context.once(parts.minilm), **options))
    redis_parts.settle(accel, server, _UNKNOWN)
    return _with(bare, AccelCache(accel))


def _tier(model: ChatOpenAI, text: str) -> str | None:
    """Return how a question is answered; None where the model, which refuses, is asked."""
    try:
        metadata = model.invoke(text).response_metadata
    except APIStatusError:
        return None
    return str(metadata.get("accel", {}).get("cache"))


def _asking(model: ChatOpenAI, texts: list[str], *, ours: bool) -> Contender:
    following = cycle(texts)
    around = nullcontext if ours else without_our_hook
    return timed(lambda: model.invoke(next(following)), around=around)


def _measured(context: Context, ours: ChatOpenAI, texts: list[str]) -> Measured:
    """Time both on the same questions; the model refuses, so that each one must be a hit."""
    found = ratio(
        _asking(ours, texts, ours=True),
        _asking(context.once(desk).peer, texts, ours=False),
        rounds=context.pick(60, 20),
        calls=10,
    )
    return Measured(found.value, f"{found}; {len(texts)} questions")


def semantic(context: Context) -> Measured:
    found = context.once(desk)
    return _measured(context, found.ours, found.reworded)


def exact(context: Context) -> Measured:
    """Ask one question over and over: ours has it in memory from the second time on."""
    found = context.once(desk)
    return _measured(context, found.ours, found.stored[:1])


def fetched(context: Context) -> Measured:
    """Ask stored questions in turn, of a process whose memory holds one answer only."""
    found = context.once(desk)
    ours = _reader(context, found.server, found.bare, memory_entries=1)
    with found.server.client() as client:
        before = redis_parts.requests(client)
        measured = _measured(context, ours, found.stored[:100])
        asked = redis_parts.requests(client) - before
    # The peer asks once for each question, too.
    assert asked >= 2 * context.pick(60, 20) * 10, "answers did not come from the server"
    return measured


ROWS = [
    Row(
        name="langchain-semantic",
        what="hit by meaning, ChatOpenAI.invoke whole: AccelCache ÷ langchain-redis",
        op="<=",
        bound=0.67,
        measure=semantic,
    ),
    Row(
        name="langchain-exact",
        what="the same question again: AccelCache ÷ RedisSemanticCache",
        op="<=",
        bound=0.2,
        measure=exact,
    ),
    Row(
        name="langchain-exact-fetched",
        what="the same, each answer fetched from the server by a process that has it not",
        op="<=",
        bound=0.2,
        measure=fetched,
    ),
]
