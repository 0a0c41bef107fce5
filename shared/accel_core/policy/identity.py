"""Who a request is: the *scope* that must be equal, and the *text* that may be compared by meaning.

Scope is everything a different value of which could change the answer: model and parameters, tools,
response format, system prompt, earlier turns, images, tenant, namespace. It is hashed. The text is
what the user said last; it alone may differ between a question and the entry that answers it.

Never part of either: message ids, run ids, usage, provider metadata. Tool-call ids are part by
their order of appearance, since providers mint new ones for the same call.

With a secret every digest is keyed (BLAKE2, RFC 7693), so that whoever reads a store cannot test
guesses about tenants or questions. During rotation the previous secret's keys are looked up too.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from accel_core.policy.canonical import canonical_json, renamed

FORMAT = 1
"""Spelling of scopes. A change makes every stored entry a miss; old rows then age out."""

_DIGEST_BYTES = 24


class Turn(NamedTuple):
    """One turn of a conversation, as the model sees it.

    Attributes:
        role: ``system``, ``user``, ``assistant``, ``tool`` or a provider's own.
        texts: its text parts, in order.
        rest: everything else the model sees of it, JSON-like: images, tool calls, names, the
            layout of the parts. None for plain text.
        call_ids: ids of tool calls as they appear in `rest`, best marked by `mark_id`.
    """

    role: str
    texts: tuple[str, ...]
    rest: Any = None
    call_ids: tuple[str, ...] = ()


class Prompt(NamedTuple):
    """A request before hashing.

    Attributes:
        kind: which shape of answer it asks for, for example ``langchain.chat``; answers of
            different kinds are never exchanged.
        model: model and parameters, JSON-like, without secrets.
        turns: the conversation, oldest first.
        tenant: whose it is; None for nobody's.
        namespace: a narrower space inside the tenant.
        source: a readable name of the model, for provenance only.
    """

    kind: str
    model: Any
    turns: tuple[Turn, ...]
    tenant: str | None = None
    namespace: str = ""
    source: str = ""


class Request(NamedTuple):
    """A request's identity.

    Attributes:
        scope: digest of all that must be equal.
        key: digest of scope and text; equal keys are the same request.
        text: what may be compared by meaning; empty where only an exact hit is allowed.
        tenant: digest of the tenant, ``b""`` for nobody's.
        namespace: as given.
        source: as given.
        aliases: the keys the same request had under the previous secret.
        never: why the same words deserve another answer each time (`policy.never_cache`), or
            ``""``. Such a request is served exactly, if at all. Judged where nothing was found.
        never_ttl_s: how long its answer is kept all the same; what asks for tools is kept as ever.
        exact: whether its answer is for the very same request only.
    """

    scope: bytes
    key: bytes
    text: str
    tenant: bytes = b""
    namespace: str = ""
    source: str = ""
    aliases: tuple[bytes, ...] = ()
    never: str = ""
    never_ttl_s: float = 0.0
    exact: bool = False


class Identifier:
    """Names requests. Stateless but for its secrets, which no ``repr`` shows."""

    __slots__ = ("_secrets",)

    def __init__(self, secret: bytes | None = None, previous: bytes | None = None) -> None:
        given = tuple(s for s in (secret, previous) if s is not None)
        # A BLAKE2 key holds 64 bytes; hashing first lets a longer secret count whole.
        self._secrets = tuple(hashlib.blake2b(s).digest() for s in given) or (b"",)

    def tenants(self, tenant: str) -> list[bytes]:
        """Return the digests under which `tenant`'s entries may be kept, the current one first."""
        return [_tenant(secret, tenant) for secret in self._secrets]

    def identify(self, prompt: Prompt) -> Request:
        """Name `prompt`.

        Raises:
            Unidentifiable: it holds an object without a stable meaning.
        """
        question = prompt.turns[-1] if prompt.turns and prompt.turns[-1].role == "user" else None
        document = canonical_json([FORMAT, prompt.kind, prompt.model, _turns(prompt, question)])
        shared = _encode((prompt.namespace, document))
        texts = question.texts if question else ()
        words = _encode(texts)
        named: list[tuple[bytes, bytes, bytes]] = []
        for secret in self._secrets:
            tenant = _tenant(secret, prompt.tenant)
            scope = _digest(secret, b"scope", tenant, *shared)
            named.append((scope, _digest(secret, b"key", scope, *words), tenant))
        scope, key, tenant = named[0]
        return Request(
            scope,
            key,
            "\n".join(texts).strip(),
            tenant,
            prompt.namespace,
            prompt.source,
            tuple(older for _, older, _ in named[1:]),
        )

    def __repr__(self) -> str:
        return f"Identifier(keyed={self._secrets != (b'',)}, secrets={len(self._secrets)})"


def _turns(prompt: Prompt, question: Turn | None) -> list[Any]:
    """Spell the turns: ids by order of appearance, the question's words left out."""
    ordinals: dict[str, str] = {}
    spelled: list[Any] = []
    for turn in prompt.turns:
        for call_id in turn.call_ids:
            ordinals.setdefault(call_id, f"call-{len(ordinals)}")
        words = None if turn is question else turn.texts
        rest = renamed(turn.rest, ordinals) if ordinals and turn.rest is not None else turn.rest
        spelled.append([turn.role, words, rest])
    return spelled


def _tenant(secret: bytes, tenant: str | None) -> bytes:
    return b"" if tenant is None else _digest(secret, b"tenant", *_encode((tenant,)))


def _encode(texts: tuple[str, ...]) -> list[bytes]:
    return [text.encode("utf-8", "surrogatepass") for text in texts]


def _digest(secret: bytes, purpose: bytes, *parts: bytes) -> bytes:
    """Hash `parts` unambiguously: each is preceded by its length, and purposes never meet."""
    framed = b"".join([piece for part in parts for piece in (len(part).to_bytes(8, "big"), part)])
    return hashlib.blake2b(framed, key=secret, digest_size=_DIGEST_BYTES, person=purpose).digest()
