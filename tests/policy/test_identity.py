"""Keys are equal exactly for equal requests; scopes exactly where only the question may differ."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from accel_core.policy.canonical import Unidentifiable
from accel_core.policy.identity import Identifier, Prompt, Request, Turn

WORDS = st.sampled_from(["", "a", "b", "ab", " ", "1", "call-0", "é", "\ud800", "\0"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 1) | WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=4,
)
TURNS = st.builds(
    Turn,
    st.sampled_from(["system", "user", "assistant", "tool"]),
    st.lists(WORDS, max_size=2).map(tuple),
    VALUES,
    st.just(()),
)
PROMPTS = st.builds(
    Prompt,
    kind=st.sampled_from(["chat", "llm"]),
    model=VALUES,
    turns=st.lists(TURNS, max_size=3).map(tuple),
    tenant=st.none() | WORDS,
    namespace=WORDS,
    source=WORDS,
)
SECRET, OTHER_SECRET = b"k" * 32, b"o" * 32
IDENTIFIERS = [Identifier(), Identifier(SECRET), Identifier(SECRET, OTHER_SECRET)]


def spelled(value: Any) -> str:
    """Spell a value so that equal ones alone are spelled alike, types included."""
    return json.dumps(value, sort_keys=True)


def question(prompt: Prompt) -> Turn | None:
    last = prompt.turns[-1] if prompt.turns else None
    return last if last is not None and last.role == "user" else None


def whole(prompt: Prompt) -> str:
    """Spell everything that makes a request: all but the readable name of its source."""
    return spelled([*prompt._replace(source="")])


def frame(prompt: Prompt) -> str:
    """Spell everything but what the user said last."""
    if question(prompt) is None:
        return whole(prompt)
    asked = prompt.turns[-1]._replace(texts=("?",))
    return whole(prompt._replace(turns=(*prompt.turns[:-1], asked)))


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Prompt, Prompt]:
    """Draw two prompts that differ in at most a field or two."""
    one = draw(PROMPTS)
    other = copy.deepcopy(one)
    for name in draw(st.lists(st.sampled_from(Prompt._fields), max_size=2)):
        other = other._replace(**{name: getattr(draw(PROMPTS), name)})
    if other.turns and draw(st.booleans()):
        at = draw(st.integers(0, len(other.turns) - 1))
        field = draw(st.sampled_from(["role", "texts", "rest"]))
        turn = other.turns[at]._replace(**{field: getattr(draw(TURNS), field)})
        other = other._replace(turns=(*other.turns[:at], turn, *other.turns[at + 1 :]))
    return one, other


class TestEqualRequests:
    """When two requests are one."""

    @settings(max_examples=300)
    @given(pairs())
    def test_keys_and_scopes(self, pair: tuple[Prompt, Prompt]) -> None:
        """Keys are equal exactly for equal requests, scopes exactly for equal frames."""
        same, alike = whole(pair[0]) == whole(pair[1]), frame(pair[0]) == frame(pair[1])
        for identifier in IDENTIFIERS:
            one, other = (identifier.identify(prompt) for prompt in pair)
            assert (one.key == other.key) == same, identifier
            assert (one.scope == other.scope) == alike, identifier

    @given(PROMPTS)
    def test_stable(self, prompt: Prompt) -> None:
        """A request has one name, by whichever identifier of the same secret."""
        for secrets in ((), (SECRET,), (SECRET, OTHER_SECRET)):
            named = Identifier(*secrets).identify(prompt)
            assert named == Identifier(*secrets).identify(copy.deepcopy(prompt))

    @given(PROMPTS)
    def test_text_is_the_question(self, prompt: Prompt) -> None:
        """What may be compared is what the user said last; without a question there is nothing."""
        asked = question(prompt)
        expected = "\n".join(asked.texts).strip() if asked else ""
        assert Identifier().identify(prompt).text == expected

    @given(PROMPTS)
    def test_source_is_told_and_no_more(self, prompt: Prompt) -> None:
        """The readable name of the model, and the namespace, come along as they are."""
        named = Identifier().identify(prompt)
        assert (named.source, named.namespace) == (prompt.source, prompt.namespace)
        moved = Identifier().identify(prompt._replace(source="another"))
        assert (moved.key, moved.scope) == (named.key, named.scope)

    def test_parts_do_not_run_together(self) -> None:
        """Texts, tenants and namespaces are told apart from their concatenations."""
        prompts = [
            Prompt("chat", None, (Turn("user", texts),), tenant, namespace)
            for texts in (("ab",), ("a", "b"), ("b", "a"), ("ab", ""), ("", "ab"), ())
            for tenant in (None, "", "a", "ab")
            for namespace in ("", "a", "ab", "b")
        ]
        named = [Identifier(SECRET).identify(prompt) for prompt in prompts]
        assert len({one.key for one in named}) == len(prompts)
        assert len({one.scope for one in named}) == 4 * 4

    @pytest.mark.parametrize("field", ["kind", "model", "turns"])
    def test_nothing_without_meaning_is_named(self, field: str) -> None:
        """An object without a stable meaning makes a request unidentifiable, wherever it is."""
        prompt = Prompt("chat", {}, (Turn("user", ("q",)),))
        thing: Any = (Turn("user", ("q",), object()),) if field == "turns" else object()
        with pytest.raises(Unidentifiable):
            Identifier().identify(prompt._replace(**{field: thing}))


def conversation(first: str, second: str, args: Any, *, names: tuple[str, str]) -> Prompt:
    """Return a conversation with two tool calls under the ids `first` and `second`."""
    calls = [
        {"id": first, "name": names[0], "args": args},
        {"id": second, "name": names[1], "args": args},
    ]
    turns = (
        Turn("user", ("go",)),
        Turn("assistant", ("",), {"tool_calls": calls}, (first, second)),
        Turn("tool", ("one",), {"tool_call_id": first}),
        Turn("tool", ("two",), {"tool_call_id": second}),
        Turn("user", ("and?",)),
    )
    return Prompt("chat", {}, turns)


IDS = st.sampled_from(["1", "2", "weather", "time", "Rome", "call-0", "call-1", "a", "b"])
ARGS = st.dictionaries(WORDS, IDS | VALUES, max_size=2)


class TestCallIds:
    """Ids of tool calls, which providers mint anew for every run."""

    @given(st.lists(IDS, min_size=4, max_size=4, unique=True), ARGS, st.tuples(IDS, IDS))
    @example(["1", "2", "a", "b"], {"x": "1"}, ("weather", "time"))
    @example(["weather", "2", "time", "b"], {}, ("weather", "time"))
    def test_do_not_matter(self, ids: list[str], args: Any, names: tuple[str, str]) -> None:
        """The same conversation under other ids is the same request."""
        one = conversation(ids[0], ids[1], args, names=names)
        other = conversation(ids[2], ids[3], args, names=names)
        assert Identifier().identify(one) == Identifier().identify(other)

    @given(
        st.lists(IDS, min_size=4, max_size=4, unique=True),
        st.tuples(ARGS, ARGS),
        st.tuples(st.tuples(IDS, IDS), st.tuples(IDS, IDS)),
    )
    @example(["1", "a", "2", "b"], ({"x": "1"}, {"x": "2"}), (("n", "n"), ("n", "n")))
    @example(["n", "a", "m", "b"], ({}, {}), (("n", "x"), ("m", "x")))
    def test_hide_nothing(
        self,
        ids: list[str],
        args: tuple[Any, Any],
        names: tuple[tuple[str, str], tuple[str, str]],
    ) -> None:
        """Other arguments or names make another request, also where they look like the ids."""
        one = conversation(ids[0], ids[1], args[0], names=names[0])
        other = conversation(ids[2], ids[3], args[1], names=names[1])
        same = spelled([args[0], names[0]]) == spelled([args[1], names[1]])
        named, renamed = Identifier().identify(one), Identifier().identify(other)
        assert (named.key == renamed.key) == same

    def test_which_result_answers_which_call_matters(self) -> None:
        """Results exchanged between two calls make another request."""
        one = conversation("a", "b", {}, names=("n", "n"))
        exchanged = [*one.turns]
        exchanged[2:4] = [
            Turn("tool", ("one",), {"tool_call_id": "b"}),
            Turn("tool", ("two",), {"tool_call_id": "a"}),
        ]
        other = one._replace(turns=tuple(exchanged))
        assert Identifier().identify(one).scope != Identifier().identify(other).scope


class TestSecrets:
    """Keyed digests, and their rotation."""

    @given(PROMPTS)
    def test_keyed_and_unkeyed_never_meet(self, prompt: Prompt) -> None:
        """Without the secret, or with another, no digest can be told."""
        named = [
            Identifier(*secrets).identify(prompt)
            for secrets in ((), (SECRET,), (OTHER_SECRET,), (SECRET + b"0",), (b"k" * 64,))
        ]
        for field in ("key", "scope", *(("tenant",) if prompt.tenant is not None else ())):
            assert len({getattr(one, field) for one in named}) == len(named)

    @given(PROMPTS)
    def test_rotation(self, prompt: Prompt) -> None:
        """With a new secret the request is still found under the key that the old one gave it."""
        old, new = Identifier(OTHER_SECRET), Identifier(SECRET, OTHER_SECRET)
        before, now = old.identify(prompt), new.identify(prompt)
        assert now.aliases == (before.key,)
        assert before.aliases == ()
        assert now.key != before.key
        assert Identifier(SECRET).identify(prompt).key == now.key

    @given(WORDS)
    def test_tenants(self, tenant: str) -> None:
        """A tenant's entries are found under both secrets, the current one first."""
        assert Identifier(SECRET, OTHER_SECRET).tenants(tenant) == [
            *Identifier(SECRET).tenants(tenant),
            *Identifier(OTHER_SECRET).tenants(tenant),
        ]
        prompt = Prompt("chat", None, (), tenant)
        assert Identifier(SECRET).identify(prompt).tenant == Identifier(SECRET).tenants(tenant)[0]

    def test_nobody_is_no_tenant(self) -> None:
        """Nobody's digest is empty, and no tenant's is."""
        assert Identifier().identify(Prompt("chat", None, ())).tenant == b""
        assert all(Identifier().tenants(name)[0] for name in ("", "a", "None"))

    def test_secrets_are_not_shown(self) -> None:
        """No `repr` shows a secret."""
        assert "kkk" not in repr(Identifier(SECRET, OTHER_SECRET))

    def test_digests_show_nothing(self) -> None:
        """Neither scope nor key nor tenant holds a part of what it names."""
        prompt = Prompt("chat", "model", (Turn("user", ("question",)),), "tenant", "namespace")
        named: Request = Identifier().identify(prompt)
        for word in (b"model", b"question", b"tenant", b"namespace"):
            assert word not in named.scope + named.key + named.tenant
