"""Nothing that is told of requests holds anybody's words, names or keys, whatever goes wrong."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever

from accel_core.errors import StoreError, in_words
from accel_core.testing.encoders import HashEncoder
from accel_core.testing.replies import Reply
from langchain_accel import accelerate
from tests.telling import ADDRESS, QUESTION, Telling

if TYPE_CHECKING:
    from pathlib import Path

    from accel_core.accel import Accel
    from accel_core.testing.model_server import ModelServer
    from tests.langchain.conftest import Colour, MakeAccel, MakeChat

CALL = {"tags": ["tag-of-ann"], "metadata": {"by": "note-of-ann", "ls_provider": "note-of-ann"}}


class Client:
    """Spells its key, as clients do."""

    def __repr__(self) -> str:
        return "Client(api_key='sk-secret')"


class Vectors(Embeddings):
    """Keeps its client where others keep a model's name."""

    model: Any = Client()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [[1.0, float(len(text))] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


class Broken(HashEncoder):
    """Says of what it failed, and where."""

    def encode(self, texts: Any) -> Any:
        raise ValueError(f"{texts} cannot be sent to {ADDRESS}")


class Listing(BaseRetriever):
    """The same of a retriever."""

    def _get_relevant_documents(self, query: str, **_: Any) -> Any:
        raise ConnectionError(f"{query}: {ADDRESS}")


class Gate:
    """The same of what says whether a message needs documents."""

    name, blocking = "gate", False

    def needs_retrieval(self, text: str) -> Any:
        raise ValueError(f"{text}: {ADDRESS}")


def _judge(question: str, *_: str) -> bool:
    raise RuntimeError(f"{question}: {ADDRESS}")


def _same(*texts: str) -> bool:
    raise RuntimeError(f"{texts}")


@pytest.fixture
def telling(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Telling:
    return Telling(tmp_path, caplog)


def _ask(accel: Accel, colour: Colour, model: Any, *questions: str) -> None:
    with accel.tenant("acme-tenant", user="ann-user"):
        for question in questions:
            colour.invoke(model, question, CALL)
            colour.stream(model, question, CALL)


def test_calls_hits_and_failures(
    telling: Telling, make_accel: MakeAccel, chat: MakeChat, server: ModelServer, colour: Colour
) -> None:
    """Tenant, user, tags, metadata, question, answer, key and address are told nowhere."""
    accel = make_accel(telling.settings, observers=telling.observers)
    _ask(accel, colour, accelerate(chat(api_key="sk-secret"), accel), QUESTION)
    _ask(accel, colour, accelerate(chat(model=ADDRESS), accel), QUESTION)
    server._answer = lambda _: Reply(status=400)
    with pytest.raises(Exception, match="400"):
        _ask(accel, colour, accelerate(chat(), accel), "how long does a parcel take by sea")
    accel.flush()
    assert telling.leaks() == []
    assert "https://models.example/v1" in telling.texts()["prometheus"]


@pytest.mark.parametrize("model", [Client(), ADDRESS, None])
def test_a_client_in_the_place_of_a_name(
    telling: Telling, make_accel: MakeAccel, colour: Colour, model: Any
) -> None:
    """What stands where a model's name should is told only where it is one."""
    accel = make_accel(telling.settings, observers=telling.observers)
    vectors = Vectors()
    vectors.model = model
    fast = accelerate(vectors, accel)
    with accel.tenant("acme-tenant"):
        if colour.name == "sync":
            fast.embed_query(QUESTION)
        else:
            colour.run(fast.aembed_query(QUESTION))  # type: ignore[union-attr]
    accel.flush()
    assert telling.leaks() == []


def test_what_the_applications_own_code_says_when_it_fails(
    telling: Telling, make_accel: MakeAccel, chat: MakeChat, colour: Colour
) -> None:
    """An encoder, a verifier, a comparison or a retriever names what it was given; nobody tells."""
    semantic = {"min_similarity": 0.999, "verifier": {"grey_from": 0.1}}
    broken = make_accel(telling.settings, encoder=Broken(), observers=telling.observers)
    judged = make_accel(
        {**telling.settings, "cache": {"semantic": semantic}},
        verifier=_judge,
        same_answer=_same,
        gate=Gate(),
        observers=telling.observers,
    )
    for accel in (broken, judged):
        model = accelerate(chat(), accel)
        _ask(accel, colour, model, QUESTION, "how long does a parcel take us")
        with pytest.raises(ConnectionError):
            colour.invoke(accelerate(Listing(), accel, corpus="list"), QUESTION)
        if colour.name == "sync":
            assert accel.needs_retrieval(QUESTION)
        else:
            assert colour.run(accel.aneeds_retrieval(QUESTION))  # type: ignore[union-attr]
        accel.flush()
    assert telling.leaks() == []
    told = telling.texts()["log"]
    assert "judge failed to verify: RuntimeError" in told
    assert "BackendFailed(backend='gate', operation='decide', error='ValueError')" in told


def test_errors_are_told_in_words_of_ones_own() -> None:
    """The system's reasons and this package's words are told; of all others the class alone."""
    full = OSError(errno.ENOSPC, "No space left on device", "/home/ann/secret")
    assert in_words(full) == "OSError: No space left on device"
    assert in_words(StoreError("redis", "save", "away")) == "StoreError: redis failed to save: away"
    assert in_words(ConnectionError(f"no route to {ADDRESS}")) == "ConnectionError"
