"""A mined predictor: what it guesses, what it never guesses, and that its JSON is all of it."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accel_core.policy.prediction import habits, lists
from accel_core.policy.prediction.calls import PER_DECISION
from accel_core.policy.prediction.known import Readers, canonical
from accel_core.policy.prediction.model import CallModel
from accel_core.policy.prediction.tally import Tally
from accel_core.policy.trajectory import Observed, Said
from accel_core.prediction.file import shipped_forests
from accel_core.testing.agent_runs import FIELDS

READERS = Readers()


@cache
def _counted(field: str, runs: int) -> Tally:
    make, free = FIELDS[field]
    model = CallModel(shipped_forests())
    for seed in range(runs):
        model.learn(make(seed), free, READERS)
    return model.tally


def learned(field: str, runs: int = 10) -> CallModel:
    model = CallModel(shipped_forests())
    model.tally.update(_counted(field, runs))
    return model


@pytest.fixture(scope="module")
def desk() -> CallModel:
    return learned("workshop")


@pytest.mark.parametrize("field", FIELDS)
def test_after_ten_runs_most_reads_are_among_the_first_guesses(field: str) -> None:
    make, free = FIELDS[field]
    model = learned(field)
    hits: Counter[bool] = Counter()
    for seed in range(900, 908):
        run = make(seed)
        for place in habits.decisions(run):
            asked = habits.answered(run, place)
            # Who asks for several tools at once has more than three guesses come true at once.
            ranked = model.ranked(run[:place], free, READERS)[: max(3, len(asked) + 1)]
            first = {canonical(*guess.call) for guess in ranked}
            for call in asked:
                if call.tool in free:
                    hits[canonical(call.tool, call.arguments) in first] += 1
    assert hits[True] / hits.total() > 0.7


def test_an_argument_is_copied_from_a_part_that_the_user_named(desk: CallModel) -> None:
    make, free = FIELDS["workshop"]
    run = next(r for r in map(make, range(900, 960)) if any(_is(e, "part_stock") for e in r))
    place = next(i for i, event in enumerate(run) if _is(event, "part_stock"))
    guesses = [g for g in desk.ranked(run[:place], free, READERS) if g.call.tool == "part_stock"]
    assert guesses[0].call.arguments == run[place].arguments  # type: ignore[union-attr]


def _is(event: Said | Observed, tool: str) -> bool:
    return isinstance(event, Observed) and event.tool == tool


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
TOOLS = ["machine", "part_stock", "order_part", "customer_by_phone"]
CALLS = st.builds(
    Observed,
    st.sampled_from(TOOLS),
    st.dictionaries(st.sampled_from(["serial", "number", "phone", "x"]), JSON, max_size=3),
    JSON.map(json.dumps) | st.text(max_size=60),
    st.booleans(),
    st.integers(0, 6),
)
RUNS = st.lists(
    st.builds(Said, st.sampled_from(["user", "assistant"]), st.text(max_size=60)) | CALLS,
    max_size=12,
).map(tuple)


@settings(max_examples=20)
@given(run=RUNS, more=RUNS, free=st.sets(st.sampled_from([*TOOLS, "unknown"])))
def test_whatever_happens_guesses_are_free_tools_and_probabilities(
    run: Any, more: Any, free: set[str]
) -> None:
    model = learned("workshop")
    model.learn(run, free, READERS)
    for guess in model.ranked(more, free, READERS):
        assert guess.call.tool in free
        assert 0 <= guess.confidence <= 1
    assert len(model.ranked(more, free, READERS)) <= PER_DECISION


@settings(max_examples=12)
@given(run=RUNS)
def test_the_saved_model_guesses_the_same(run: Any) -> None:
    make, free = FIELDS["workshop"]
    model = learned("workshop")
    model.learn(run, free, READERS)
    again = CallModel.from_json(json.loads(json.dumps(model.to_json())))
    for seen in (make(77)[:6], run):
        assert again.ranked(seen, free, READERS) == model.ranked(seen, free, READERS)


def test_what_is_saved_names_nobody(desk: CallModel) -> None:
    make, _ = FIELDS["workshop"]
    spelled = json.dumps(desk.to_json())
    for seed in range(10):
        for event in make(seed):
            if isinstance(event, Observed) and "phone" in event.arguments:
                assert event.arguments["phone"] not in spelled
            if isinstance(event, Observed) and "serial" in event.arguments:
                assert event.arguments["serial"] not in spelled


def test_what_is_mostly_copied_is_never_guessed_as_a_constant() -> None:
    """A name that nobody was seen to say is somebody's, and not the next one's."""
    model, free = CallModel(shipped_forests()), {"find"}
    for number in range(12):
        name = f"Person{'abcdefghijkl'[number]}"
        run: tuple[Said | Observed, ...] = (
            Said("user", f"I am {name}"), Observed("find", {"name": name}, "ok", False, 0),
        )  # fmt: skip
        model.learn(run, free, READERS)
        if number < 4:
            model.learn((Said("user", "hi"), Observed("find", {"name": "Secret"}, "", False, 0)),
                        free, READERS)  # fmt: skip
    guessed = [g.call.arguments["name"] for g in model.ranked((Said("user", "hi"),), free, READERS)]
    assert "Secret" not in guessed


@pytest.mark.parametrize(
    "observation",
    [
        json.dumps([{"id": f"i{n}", "name": f"thing {n}"} for n in range(10_000)]),
        json.dumps({"deep": "x" * 1_000_000}),
        "[" * 100_000,
        "word " * 200_000,
        json.dumps({f"k{n}1": {"v": n} for n in range(5_000)}),
        '{"broken": ',
        "\ud800",
    ],
)
def test_huge_and_broken_observations_are_bounded_work(desk: CallModel, observation: str) -> None:
    _, free = FIELDS["workshop"]
    run = (Said("user", "x" * 100_000), Observed("machine", {}, observation, False, 0))
    assert len(desk.ranked(run, free, READERS)) <= PER_DECISION
    CallModel(shipped_forests()).learn((*run, Said("assistant", "so")), free, READERS)


def test_counts_added_and_taken_away_are_as_before() -> None:
    make, free = FIELDS["help"]
    one, both = Tally(), Tally()
    habits.learn_origins(one, make(1), free, READERS)
    before = json.dumps(one.to_json())
    habits.learn_origins(both, make(2), free, READERS)
    one.update(both)
    one.update(both, -1.0)
    assert json.loads(json.dumps(one.to_json())) == json.loads(before)


@pytest.mark.parametrize(
    "broken",
    [
        lambda spelled: spelled | {"format": 99},
        lambda spelled: spelled | {"tally": [[["x"], [["y", -1]]]]},
        lambda spelled: spelled | {"tally": [["x", [["y", 1]]]]},
        lambda spelled: spelled | {"forests": {"used": spelled["forests"]["used"]}},
    ],
)
def test_a_model_that_is_none_is_refused(desk: CallModel, broken: Any) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        CallModel.from_json(broken(desk.to_json()))


def _shop(opened: int, items: int = 4, seed: int = 0) -> tuple[Said | Observed, ...]:
    names = [f"n{seed}{number}" for number in range(items)]
    run: list[Said | Observed] = [
        Said("user", "all of them"), Observed("ls", {}, json.dumps({"items": names}), False, 0),
    ]  # fmt: skip
    run += [Observed("open", {"id": name}, "{}", False, 1) for name in names[:opened]]
    return (*run, Said("assistant", "done"))


@pytest.mark.parametrize(("opened", "guessed"), [(4, 4), (1, 0)])
def test_lists_that_were_opened_are_opened_again(opened: int, guessed: int) -> None:
    free, counts, origins = {"ls", "open"}, Tally(), Tally()
    for seed in range(1, 5):
        run = _shop(opened, seed=seed)
        lists.learn(counts, run, free, READERS)
        habits.learn_origins(origins, run, free, READERS)
    found = lists.guesses(counts, origins, _shop(0, seed=9)[:2], free, READERS)
    assert len(found) == guessed
    assert all(guess.call.arguments["id"].startswith("n9") for guess in found)


def test_a_long_list_is_opened_as_far_as_the_cap() -> None:
    free, counts, origins = {"ls", "open"}, Tally(), Tally()
    for seed in range(1, 5):
        run = _shop(8, items=8, seed=seed)
        lists.learn(counts, run, free, READERS)
        habits.learn_origins(origins, run, free, READERS)
    found = lists.guesses(counts, origins, _shop(0, 60, seed=9)[:2], free, READERS)
    assert len(found) == lists.CAP
