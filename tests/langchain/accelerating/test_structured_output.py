"""`accelerate`: structured output answers from memory, parsed anew."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.globals import set_llm_cache
from pydantic import BaseModel, Field

from accel_core.testing.replies import echo
from langchain_accel import AccelCache, accelerate
from tests.langchain.accelerating.rig import ANSWER, QUESTION, answer_with

if TYPE_CHECKING:
    from collections.abc import Callable

    from accel_core.accel import Accel
    from accel_core.testing.model_server import ModelServer
    from tests.langchain.conftest import Colour, MakeChat

    Origin = Callable[[Any], str | None]


class City(BaseModel):
    """A city."""

    name: str
    country: str | None = None


class TestStructuredOutput:
    """`with_structured_output`, in all its ways."""

    @pytest.mark.parametrize("when", ["before", "after"])
    @pytest.mark.parametrize("include_raw", [False, True])
    @pytest.mark.parametrize("method", ["function_calling", "json_schema", "json_mode"])
    def test_methods(
        self,
        *,
        accel: Accel,
        chat: MakeChat,
        server: ModelServer,
        colour: Colour,
        method: Any,
        include_raw: bool,
        when: str,
    ) -> None:
        """Each method gives the same object from memory as from the model."""
        if method == "json_mode":
            answer_with(server, lambda request: json.dumps({"name": "Paris"}))
        options: dict[str, Any] = {"method": method, "include_raw": include_raw}
        if when == "before":
            model: Any = accelerate(chat().with_structured_output(City, **options), accel)
        else:
            model = accelerate(chat(), accel).with_structured_output(City, **options)
        answers = [colour.invoke(model, QUESTION) for _ in range(2)]
        assert server.call_count == 1
        if include_raw:
            assert answers[1]["raw"].response_metadata["accel"]["cache"] == "exact"
            assert [answer["parsing_error"] for answer in answers] == [None, None]
            answers = [answer["parsed"] for answer in answers]
        assert isinstance(answers[0], City)
        assert answers[0] == answers[1]

    @pytest.mark.parametrize("method", ["function_calling", "json_schema"])
    @pytest.mark.parametrize("way", ["accelerate", "set_llm_cache"])
    def test_aliases(
        self,
        accel: Accel,
        chat: MakeChat,
        server: ModelServer,
        colour: Colour,
        *,
        method: Any,
        way: str,
    ) -> None:
        """A schema whose fields have aliases is parsed from memory as from the model."""

        class Aliased(BaseModel):
            """A city under other names."""

            name: str = Field(alias="cityName")
            inhabitants: int = Field(validation_alias="people", serialization_alias="count")

        set_llm_cache(AccelCache(accel) if way == "set_llm_cache" else None)
        plain = chat()
        made = plain if way == "set_llm_cache" else accelerate(plain, accel)
        model = made.with_structured_output(Aliased, method=method)
        first, second = (colour.invoke(model, QUESTION) for _ in range(2))
        assert first == second
        assert server.call_count == 1

    @pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # the OpenAI client's own
    @pytest.mark.parametrize("method", ["function_calling", "json_schema", "json_mode"])
    def test_streamed(
        self,
        accel: Accel,
        chat: MakeChat,
        server: ModelServer,
        colour: Colour,
        *,
        method: Any,
    ) -> None:
        """Streamed from memory it ends in the same object, and shares with `invoke`."""
        answer_with(
            server,
            lambda request: (
                json.dumps({"name": "Paris"}) if method == "json_mode" else echo(request)
            ),
        )
        model = accelerate(chat(), accel).with_structured_output(City, method=method)
        whole = colour.invoke(model, QUESTION)
        streams = [colour.stream(model, QUESTION) for _ in range(2)]
        assert [stream[-1] for stream in streams] == [whole, whole]
        assert server.call_count == 1
        streamed = colour.stream(model, "What is another?")
        assert colour.invoke(model, "What is another?") == streamed[-1]
        assert server.call_count == 2

    def test_dict_schema(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour
    ) -> None:
        """A JSON schema instead of a class works too."""
        schema = {**City.model_json_schema(), "title": "City"}
        model = accelerate(chat(), accel).with_structured_output(schema, method="json_schema")
        assert [colour.invoke(model, QUESTION) for _ in range(2)] == [{"name": ANSWER}] * 2
        assert server.call_count == 1

    def test_schemas_differ(
        self, accel: Accel, chat: MakeChat, server: ModelServer, colour: Colour
    ) -> None:
        """Two schemas of one name get an answer each, and of the right type."""

        def schema(kind: type) -> type[BaseModel]:
            class Out(BaseModel):
                value: kind  # type: ignore[valid-type]

            return Out

        for kind in (str, int, str, int):
            model = accelerate(chat(), accel).with_structured_output(schema(kind))
            assert type(colour.invoke(model, QUESTION).value) is kind
        assert server.call_count == 2
