"""Races of paths, in both colours: whose answer is returned, what ends, and what is told."""

from __future__ import annotations

import asyncio
import contextvars
import random
import threading
from typing import TYPE_CHECKING, Any

import pytest

from accel_core import events, tenancy
from accel_core.drive import virtual_time, work
from accel_core.errors import ConfigError, UnsupportedError
from accel_core.events.races import PathsRaced
from accel_core.racing import Path, Racing, named, terms
from accel_core.testing.doubles import RecordingObserver
from tests.raced import ONE_BY_ONE, WAIT_S, join_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

LATE_S = 0.02  # a time-out that is waited for
answered: contextvars.ContextVar[str] = contextvars.ContextVar("answered", default="")


class FailedError(Exception):
    pass


class Gate:
    """Opened once; paths of one colour wait at it."""

    def __init__(self, colour: str) -> None:
        self._event: Any = threading.Event() if colour == "sync" else asyncio.Event()

    def open(self) -> None:
        self._event.set()

    async def passed(self) -> None:
        if isinstance(self._event, threading.Event):
            assert self._event.wait(WAIT_S)
        else:
            await self._event.wait()


class Track:
    """Runs races in one colour, and sees that nothing is left of them."""

    def __init__(self, colour: str) -> None:
        self.colour = colour
        self.seen = RecordingObserver()
        self.gates: list[Gate] = []
        self.begun: list[str] = []
        self.cut_off: list[str] = []
        self.tasks_left = 0

    def gate(self) -> Gate:
        self.gates.append(Gate(self.colour))
        return self.gates[-1]

    def path(
        self,
        name: str,
        answer: Any,
        *,
        after: Gate | None = None,
        opens: Gate | None = None,
        seeing: Callable[[], Any] = lambda: None,
    ) -> Path:
        """Make a path that answers, or raises, behind a gate, having opened another."""

        async def run() -> Any:
            self.begun.append(name)
            seeing()
            try:
                if opens is not None:
                    opens.open()
                if after is not None:
                    await after.passed()
            except asyncio.CancelledError:
                self.cut_off.append(name)
                raise
            if isinstance(answer, BaseException):
                raise answer
            return answer

        return Path(name, run)

    def run(
        self,
        *paths: Path,
        accept: Callable[[Any], Any] = lambda answer: answer == "good",
        timeout_s: float = WAIT_S,
        after_s: tuple[float, ...] = (),
    ) -> Any:
        agreed = terms(len(paths), accept, timeout_s, after_s)
        if self.colour == "sync":
            return self._racing().run(paths, agreed)
        return virtual_time.run(self._arun(paths, agreed))

    async def _arun(self, paths: tuple[Path, ...], agreed: Any) -> Any:
        try:
            return await self._racing(asyncio.get_running_loop().time).arun(paths, agreed)
        finally:
            self.tasks_left = len(asyncio.all_tasks()) - 1

    def _racing(self, mono_now: Callable[[], float] | None = None) -> Racing:
        import time

        return Racing(self.seen, mono_now or time.monotonic)

    @property
    def told(self) -> PathsRaced:
        (event,) = self.seen.of(PathsRaced)
        return event

    @property
    def outcomes(self) -> dict[str, str]:
        return {path.name: path.outcome for path in self.told.paths}

    def leave(self) -> None:
        """See that nothing is left that could be stopped, and let threads end."""
        assert self.tasks_left == 0
        for gate in self.gates:
            gate.open()
        join_threads()


@pytest.fixture(params=["sync", "async"])
def track(request: pytest.FixtureRequest) -> Iterator[Track]:
    track = Track(request.param)
    yield track
    track.leave()


def test_the_first_acceptable_answer_wins_and_the_rest_end(track: Track) -> None:
    """What still runs is cancelled; a thread is left to its end, and said to run."""
    never, begun = track.gate(), track.gate()
    paths = (
        track.path("fast", "good", after=begun),
        track.path("standard", "standard", after=never, opens=begun),
    )
    assert track.run(*paths) == "good"
    assert track.told.winner == "fast"
    assert track.outcomes == {"fast": "won", "standard": "cancelled"}
    assert track.cut_off == ([] if track.colour == "sync" else ["standard"])
    assert [path.running for path in track.told.paths] == [False, track.colour == "sync"]


@pytest.mark.parametrize("bad", ["bad", FailedError("fast")])
def test_what_is_refused_or_fails_is_never_returned(track: Track, bad: Any) -> None:
    """The standard path answers, though it comes last, and though its answer would be refused."""
    paths = (track.path("fast", bad), track.path("standard", "whatever"))
    assert track.run(*paths, after_s=ONE_BY_ONE) == "whatever"
    assert track.outcomes["standard"] == "won"
    assert track.outcomes["fast"] == ("refused" if bad == "bad" else "failed")
    assert track.told.paths[0].error == ("" if bad == "bad" else "FailedError")


def test_the_standard_answer_is_not_judged(track: Track) -> None:
    """`accept` is asked of the other answers only, and the standard one ends the race."""
    never = track.gate()
    asked: list[Any] = []
    paths = (track.path("fast", "good", after=never), track.path("standard", "standard"))
    assert track.run(*paths, accept=asked.append) == "standard"
    assert asked == []
    assert track.outcomes == {"fast": "cancelled", "standard": "won"}


def test_what_accept_raises_refuses_and_is_told(track: Track) -> None:
    """A judge that fails accepts nothing; the standard answer is returned, with an event."""

    def accept(answer: Any) -> bool:
        raise FailedError

    paths = (track.path("fast", "good"), track.path("standard", "standard"))
    assert track.run(*paths, accept=accept, after_s=ONE_BY_ONE) == "standard"
    assert track.outcomes["fast"] == "failed"
    assert track.seen.of(events.BackendFailed) == [
        events.BackendFailed("race", "accept", "FailedError")
    ]


def asynchronous(function: Callable[[Any], Any]) -> Callable[[Any], Coroutine[Any, Any, Any]]:
    async def wrapped(answer: Any) -> Any:
        return function(answer)

    return wrapped


def test_what_the_standard_path_raises_is_raised(track: Track) -> None:
    """The very error reaches the caller, once no other path can be accepted any more."""
    error, failed = FailedError("standard"), track.gate()
    paths = (
        track.path("fast", "bad", after=failed),
        track.path("standard", error, opens=failed),
    )
    with pytest.raises(FailedError) as raised:
        track.run(*paths)
    assert raised.value is error
    assert track.told.winner == ""
    assert track.outcomes == {"fast": "refused", "standard": "failed"}


def test_an_accepted_answer_makes_up_for_a_standard_path_that_failed(track: Track) -> None:
    """The race goes on behind the error, and the caller never sees it."""
    failed = track.gate()
    paths = (
        track.path("fast", "good", after=failed),
        track.path("standard", FailedError(), opens=failed),
    )
    assert track.run(*paths) == "good"
    assert track.outcomes["standard"] in {"failed", "cancelled"}


def test_the_others_have_a_time_and_the_standard_path_has_none(track: Track) -> None:
    """Past the time-out, what hangs is given up and the standard path goes on alone."""
    never, late = track.gate(), track.gate()
    paths = (
        track.path("fast", "good", after=never),
        track.path("standard", "standard", after=late),
    )
    if track.colour == "sync":

        async def hang() -> None:
            with work.waking(late.open):  # as soon as nobody waits for it any more
                await never.passed()

        paths = (Path("fast", hang), paths[1])
    else:
        paths = (paths[0], slow("standard", 5 * LATE_S))
    assert track.run(*paths, timeout_s=LATE_S) == "standard"
    assert track.outcomes == {"fast": "timed_out", "standard": "won"}
    assert track.told.took_s >= LATE_S
    if track.colour == "async":
        assert track.told.took_s == pytest.approx(5 * LATE_S, abs=1e-3)
        assert track.told.paths[0].took_s == pytest.approx(LATE_S, abs=1e-3)
        assert track.cut_off == ["fast"]


def slow(name: str, seconds: float, answer: Any = None) -> Path:
    """Make a path of tasks that takes its time."""

    async def run() -> Any:
        await asyncio.sleep(seconds)
        if isinstance(answer, BaseException):
            raise answer
        return name if answer is None else answer

    return Path(name, run)


def test_an_error_waits_for_the_others_until_their_time_is_over(track: Track) -> None:
    """A path that hangs keeps a failed standard path's error no longer than `timeout_s`."""
    never = track.gate()
    paths = (track.path("fast", "good", after=never), track.path("standard", FailedError()))
    with pytest.raises(FailedError):
        track.run(*paths, timeout_s=LATE_S)
    assert track.outcomes == {"fast": "timed_out", "standard": "failed"}


def test_what_is_accepted_in_time_saves_what_starts_later(track: Track) -> None:
    """A path that was to start later is never begun, and costs nothing."""
    paths = (track.path("fast", "good"), track.path("standard", "standard"))
    assert track.run(*paths, after_s=ONE_BY_ONE) == "good"
    assert track.begun == ["fast"]
    assert track.outcomes == {"fast": "won", "standard": "unstarted"}


@pytest.mark.parametrize("bad", ["bad", FailedError()])
def test_what_starts_later_starts_at_once_where_nobody_runs(track: Track, bad: Any) -> None:
    """Nobody waits for a moment that has become pointless."""
    paths = (track.path("fast", bad), track.path("standard", "standard"))
    assert track.run(*paths, after_s=ONE_BY_ONE) == "standard"
    assert track.told.took_s < WAIT_S / 4


def test_what_starts_later_starts_in_time_beside_what_runs(track: Track) -> None:
    """The standard path is asked when its moment comes, whatever the fast one does."""
    never = track.gate()
    paths = (track.path("fast", "good", after=never), track.path("standard", "standard"))
    assert track.run(*paths, after_s=(0.0, LATE_S)) == "standard"
    assert track.told.paths[1].began_s >= LATE_S


def test_paths_run_in_the_callers_context_and_keep_theirs(track: Track) -> None:
    """Tenants and context variables are the caller's; what a path sets is seen by nobody else."""
    found: list[Any] = []

    def see() -> None:
        asking = tenancy.current()
        found.append((asking and asking.id, answered.get()))
        answered.set("by a path")

    paths = (track.path("fast", "bad", seeing=see), track.path("standard", "", seeing=see))
    token = answered.set("by the caller")
    try:
        with tenancy.tenant("acme"):
            track.run(*paths)
        assert answered.get() == "by the caller"
    finally:
        answered.reset(token)
    assert found == [("acme", "by the caller")] * 2


def test_an_interrupt_in_a_path_is_the_callers(track: Track) -> None:
    """Control-C is no failure of a path, whichever it hits."""
    never = track.gate()
    paths = (
        track.path("fast", KeyboardInterrupt()),
        track.path("standard", "standard", after=never),
    )
    with pytest.raises(KeyboardInterrupt):
        track.run(*paths)
    assert track.outcomes["standard"] == "cancelled"


def test_an_answer_waits_for_what_is_cancelled_but_not_for_ever() -> None:
    """A path that will not be cancelled is left, and said to run."""
    track = Track("async")

    async def stubborn() -> Any:
        for _ in range(3):
            try:
                await asyncio.sleep(100)
            except asyncio.CancelledError:
                with pytest.raises(work.Unwanted):
                    work.check()

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        paths = (slow("fast", 1.0, "good"), Path("standard", stubborn))
        agreed = terms(2, lambda answer: True, 10.0, ())
        assert await track._racing(loop.time).arun(paths, agreed) == "good"
        assert loop.time() == pytest.approx(2.0, abs=1e-3)
        assert [path.running for path in track.told.paths] == [False, True]

    virtual_time.run(scenario())


async def test_a_caller_who_leaves_takes_all_paths_along() -> None:
    """Cancelling the race cancels its paths, which have ended when the caller goes on."""
    track = Track("async")
    begun, never = track.gate(), track.gate()
    paths = (track.path("fast", "good", after=never), track.path("s", "", after=never, opens=begun))
    agreed = terms(2, lambda answer: True, WAIT_S, ())
    racing = asyncio.create_task(track._racing().arun(paths, agreed))
    await begun.passed()
    racing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await racing
    assert track.cut_off == ["fast", "s"]
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert track.outcomes == {"fast": "cancelled", "s": "cancelled"}


def test_a_thread_ends_at_its_next_step_and_so_does_a_race_within_it() -> None:
    """What looks whether it is wanted learns that it is not, in races of races too."""
    track = Track("sync")
    never, begun = track.gate(), track.gate()
    ended: list[str] = []

    async def steps() -> Any:
        begun.open()
        await never.passed()
        try:
            work.check()
        except work.Unwanted:
            ended.append("inner")
            raise

    async def race_within() -> Any:
        agreed = terms(2, lambda answer: True, WAIT_S, ())
        inner = [Path("inner", steps), Path("standard", steps)]
        try:
            return Racing(lambda event: None, lambda: 0.0).run(inner, agreed)
        except work.Unwanted:
            ended.append("outer")
            raise

    paths = (track.path("fast", "good", after=begun), Path("standard", race_within))
    assert track.run(*paths) == "good"
    track.leave()
    assert set(ended) == {"inner", "outer"}
    assert ended[-1] == "outer"


def test_work_that_sleeps_is_woken_when_nobody_waits_for_it() -> None:
    """Of the work and of what it is part of, whichever ends; and not after it has gone on."""
    whole = work.Work()
    part = work.Work(part_of=whole)
    woken: list[str] = []
    with part.waking(lambda: woken.append("part")):
        part.end()
        whole.end()
    part.end()
    assert woken == ["part", "part"]
    assert not part.wanted


def test_where_no_thread_is_to_be_had_the_standard_path_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A process that can start no thread has its answer as without a race."""
    track = Track("sync")

    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    assert track.run(track.path("fast", "good"), track.path("standard", "standard")) == "standard"
    assert track.begun == ["standard"]
    assert track.told.paths[0].error == "RuntimeError"


def test_a_coroutine_is_no_verdict_of_a_sync_race() -> None:
    """It would count as true: refused before anything starts, or with the answer it was for."""
    track = Track("sync")
    accept = asynchronous(lambda answer: True)
    paths = (track.path("fast", "good"), track.path("standard", "standard"))
    with pytest.raises(UnsupportedError, match="ainvoke"):
        track.run(*paths, accept=accept)
    assert track.begun == []

    def hidden(answer: Any) -> Any:
        return accept(answer)

    assert track.run(*paths, accept=hidden, after_s=ONE_BY_ONE) == "standard"
    assert track.seen.of(events.BackendFailed)[0].error == "UnsupportedError"


@pytest.mark.parametrize("hidden", [False, True])
def test_a_coroutine_is_a_verdict_of_an_async_race(hidden: bool) -> None:
    """It is awaited, also where a plain function returned it."""
    track = Track("async")
    accept: Any = asynchronous(lambda answer: answer == "good")

    def hiding(answer: Any) -> Any:
        return accept(answer)

    paths = (track.path("one", "bad"), slow("two", 1.0, "good"), slow("standard", 2.0))
    assert track.run(*paths, accept=hiding if hidden else accept) == "good"
    assert track.outcomes["one"] == "refused"


@pytest.mark.parametrize(
    ("paths", "timeout_s", "after_s", "place"),
    [
        (1, 1.0, (), "race.paths"),
        (2, 0.0, (), "race.timeout_s"),
        (2, float("inf"), (), "race.timeout_s"),
        (2, float("nan"), (), "race.timeout_s"),
        (2, 1.0, (0.0,), "race.after_s"),
        (2, 1.0, 0.5, "race.after_s"),
        (2, 1.0, (0.0, -1.0), "race.after_s"),
        (2, 1.0, (0.0, 1.0), "race.after_s"),
        (2, 1.0, (0.0, float("nan")), "race.after_s"),
    ],
)
def test_terms_out_of_range_are_refused(
    paths: int, timeout_s: float, after_s: Any, place: str
) -> None:
    """What cannot be raced by is said by its place."""
    with pytest.raises(ConfigError) as raised:
        terms(paths, lambda answer: True, timeout_s, after_s)
    assert raised.value.path == place
    with pytest.raises(TypeError, match="accept"):
        terms(2, "good", 1.0, ())  # type: ignore[arg-type]


def test_paths_that_come_without_names_are_told_apart() -> None:
    """Names are those given, or made, each once."""
    assert named({"small": 1, "large": 2}, str) == {"small": 1, "large": 2}
    assert named([1, 2, 1, 1], str) == {"1": 1, "2": 2, "1 2": 1, "1 3": 1}


def test_a_thousand_random_races_return_nothing_unaccepted_and_leave_nothing() -> None:
    """Whatever paths, judges and callers do, in virtual time, all at once."""
    dice = random.Random(7)
    seen = RecordingObserver()

    async def one(racing: Racing) -> str:
        ways = [
            (dice.expovariate(1.0), dice.choice(["good", "bad", FailedError("fast")]))
            for _ in range(dice.randint(1, 3))
        ]
        end = dice.choice(["standard", "standard", FailedError("broken")])
        ways.append((dice.expovariate(0.5), end))
        after_s = [dice.choice([0.0, dice.random()]) for _ in ways]
        paths = [slow(str(place), *way) for place, way in enumerate(ways)]
        agreed = terms(len(paths), asynchronous("good".__eq__), dice.uniform(1.0, 3.0), after_s)
        race = asyncio.create_task(racing.arun(paths, agreed))
        if dice.random() < 0.1:
            asyncio.get_running_loop().call_later(dice.random(), race.cancel)
        try:
            return str(await race)
        except FailedError as error:
            return str(error)
        except asyncio.CancelledError:
            return "cancelled"

    async def scenario() -> list[str]:
        racing = Racing(seen, asyncio.get_running_loop().time)
        found = await asyncio.gather(*(one(racing) for _ in range(1_000)))
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return found

    found = virtual_time.run(scenario())
    assert set(found) == {"good", "standard", "cancelled"} | {"broken"}
    races = seen.of(PathsRaced)
    assert len(races) == len(found) == 1_000
    assert not any(path.running for race in races for path in race.paths)
    assert sum(race.winner != "" for race in races) == sum(
        one in {"good", "standard"} for one in found
    )


def test_a_moment_that_rounding_puts_off_is_reached() -> None:
    """A wait that ends a rounding error too soon is not begun again and again."""

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        racing = Racing(RecordingObserver(), loop.time)
        agreed = terms(2, lambda answer: False, 3.0, (0.0, 1.33))
        for number in range(50):
            paths = [slow("fast", 2.0), slow("standard", number / 7)]
            assert await racing.arun(paths, agreed) == "standard"

    virtual_time.run(scenario(), start_s=0.1)


def test_a_hundred_random_races_of_threads_return_nothing_unaccepted() -> None:
    """The same in threads, released in any order; all of them end when they are let go."""
    dice = random.Random(7)
    track = Track("sync")
    found = []
    for _ in range(100):
        gates = [track.gate() for _ in range(dice.randint(2, 4))]
        *ends, standard = [dice.choice(["good", "bad", FailedError("fast")]) for _ in gates]
        standard = dice.choice(["standard", FailedError("broken")])
        paths = [
            track.path(str(place), end, after=gate)
            for place, (end, gate) in enumerate(zip([*ends, standard], gates, strict=True))
        ]
        dice.shuffle(gates)
        release = threading.Thread(target=lambda gates=gates: [gate.open() for gate in gates])
        release.start()
        try:
            found.append(track.run(*paths))
        except FailedError as error:
            found.append(str(error))
            assert "good" not in ends
        release.join()
    join_threads()
    assert set(found) == {"good", "standard"} | {"broken"}
