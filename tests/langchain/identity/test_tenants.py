"""Nothing of one tenant reaches another, whoever asks."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.runnables import run_in_executor

from accel_core import events as happened
from langchain_accel import AccelCache, accelerate
from tests.langchain.identity.rig import QUESTION, WAYS, made

if TYPE_CHECKING:
    from accel_core.accel import Accel
    from accel_core.testing.model_server import ModelServer
    from tests.langchain.conftest import Colour, MakeAccel, MakeChat, Recorder


class TestTenants:
    """Who is asking, however the call gets there."""

    @pytest.fixture(params=WAYS)
    def model(self, request: pytest.FixtureRequest, accel: Accel, chat: MakeChat) -> Any:
        return made(request.param, accel, chat())

    def test_threads_of_a_batch(
        self, accel: Accel, model: Any, server: ModelServer, colour: Colour
    ) -> None:
        """The threads and tasks of a batch belong to the tenant who started it."""
        for tenant, calls in (("ann", 3), ("bob", 6), ("ann", 6)):
            with accel.tenant(tenant):
                colour.batch(model, ["one", "two", "three"])
            assert server.call_count == calls

    def test_executors(self, accel: Accel, model: Any, server: ModelServer) -> None:
        """`asyncio.to_thread` and LangChain's executor carry the tenant along."""

        async def ask(tenant: str) -> None:
            with accel.tenant(tenant):
                await asyncio.to_thread(model.invoke, QUESTION)
                await run_in_executor(None, model.invoke, QUESTION)

        for tenant, calls in (("ann", 1), ("bob", 2)):
            asyncio.run(ask(tenant))
            assert server.call_count == calls

    def test_tasks_at_once(
        self, accel: Accel, model: Any, server: ModelServer, runner: asyncio.Runner
    ) -> None:
        """Tasks of many tenants on one loop, waiting for one another, never mix."""
        tenants = [f"tenant-{n}" for n in range(6)]

        async def ask(tenant: str) -> str:
            with accel.tenant(tenant):
                return str((await model.ainvoke(QUESTION)).response_metadata["id"])

        async def both() -> tuple[list[str], list[str]]:
            with server.hold():
                tasks = [asyncio.create_task(ask(tenant)) for tenant in tenants]
                await asyncio.to_thread(server.wait_for_calls, len(tenants))
            first = await asyncio.gather(*tasks)
            return first, list(await asyncio.gather(*(ask(tenant) for tenant in tenants)))

        first, again = runner.run(both())
        assert len(set(first)) == len(tenants)
        assert again == first

    def test_bare_thread_belongs_to_nobody(
        self, accel: Accel, model: Any, server: ModelServer
    ) -> None:
        """A thread started by hand inherits no tenant, and sees no tenant's answers."""
        with accel.tenant("ann"):
            model.invoke(QUESTION)
            thread = threading.Thread(target=model.invoke, args=(QUESTION,))
            thread.start()
            thread.join()
        assert server.call_count == 2

    def test_inner_tenant(self, accel: Accel, model: Any, colour: Colour) -> None:
        """The innermost ``with`` counts, and leaving it restores the outer, also by an error."""
        with accel.tenant("ann"):
            with contextlib.suppress(RuntimeError), accel.tenant("bob"):
                assert accel.current_tenant() == "bob"
                raise RuntimeError
            assert accel.current_tenant() == "ann"
        assert accel.current_tenant() is None

    @pytest.mark.parametrize("name", ["", None, 3, b"ann"])
    def test_no_tenant_by_accident(self, accel: Accel, name: Any) -> None:
        """Anything but a non-empty text is an error, not a tenant called None."""
        with pytest.raises(ValueError, match="non-empty text"), accel.tenant(name):
            pass

    @pytest.mark.parametrize("key", ["tenant", "accel_tenant", "tenant_id", "user", "thread_id"])
    def test_metadata_names_no_tenant(
        self, accel: Accel, model: Any, server: ModelServer, colour: Colour, key: str
    ) -> None:
        """No metadata and no configurable value moves a call to a tenant."""
        with accel.tenant("ann"):
            colour.invoke(model, QUESTION)
        for place in ("metadata", "configurable"):
            colour.invoke(model, "something else", {place: {key: "ann"}})
        colour.invoke(model, QUESTION, {"metadata": {key: "ann"}, "configurable": {key: "ann"}})
        assert server.call_count == 3

    @pytest.mark.parametrize("way", WAYS)
    def test_required(
        self,
        make_accel: MakeAccel,
        chat: MakeChat,
        server: ModelServer,
        colour: Colour,
        events: Recorder,
        *,
        way: str,
    ) -> None:
        """Where tenants are required, a call without one is not cached, and said once to be so."""
        accel = make_accel({"security": {"tenant_required": True}})
        model = made(way, accel, chat())
        for _ in range(2):
            assert colour.invoke(model, QUESTION).content == f"Answer to: {QUESTION}"
        assert server.call_count == 2
        assert events.of(happened.CacheBypassed) == [happened.CacheBypassed("tenant_required")] * 2
        with accel.tenant("ann"):
            for _ in range(2):
                colour.invoke(model, QUESTION)
        assert server.call_count == 3

    def test_clear(self, accel: Accel, model: Any, server: ModelServer, colour: Colour) -> None:
        """`clear` inside a tenant removes that tenant's answers, outside everybody's."""
        cache = AccelCache(accel)

        def ask_all() -> int:
            server.reset()
            colour.invoke(model, QUESTION)
            for tenant in ("ann", "bob"):
                with accel.tenant(tenant):
                    colour.invoke(model, QUESTION)
            return server.call_count

        assert ask_all() == 3
        with accel.tenant("ann"):
            cache.clear()
        assert ask_all() == 1
        cache.clear()
        assert ask_all() == 3
        asyncio.run(cache.aclear())
        assert ask_all() == 3

    def test_of_the_constructor(
        self, make_accel: MakeAccel, chat: MakeChat, server: ModelServer, colour: Colour
    ) -> None:
        """A tenant given to the constructor counts where no other is set, and is the same one."""
        accel = make_accel(tenant="ann")
        fast = accelerate(chat(), accel)
        colour.invoke(fast, QUESTION)
        with accel.tenant("ann"):
            colour.invoke(fast, QUESTION)
        assert server.call_count == 1
        with accel.tenant("bob"):
            colour.invoke(fast, QUESTION)
        assert server.call_count == 2
