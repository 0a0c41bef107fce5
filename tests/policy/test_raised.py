"""What exceptions of SDKs say, in the shapes that they have."""

from __future__ import annotations

import json
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_core.policy.limits.provider_profile import PROFILES
from accel_core.policy.limits.raised import Raised, read_raised
from accel_core.policy.limits.refusal import classify


class SdkError(Exception):
    """An exception with the attributes of one library's."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__("Rate limit reached, try again in 2s")
        vars(self).update(attributes)


class EndpointConnectionError(Exception):
    """As botocore's."""


def boto(code: str, status: int | None) -> dict[str, Any]:
    about = (
        {} if status is None else {"HTTPStatusCode": status, "HTTPHeaders": {"retry-after": "3"}}
    )
    return {"Error": {"Code": code, "Message": "slow down"}, "ResponseMetadata": about}


def grpc(name: str) -> Any:
    return lambda: SimpleNamespace(name=name, value=(8, name))


LIBRARIES = {
    "openai": SdkError(status_code=429, body={"code": "rate_limit_exceeded"}),
    "requests": SdkError(response=SimpleNamespace(status_code=429, headers={}, _content=b"{}")),
    "aiohttp": SdkError(status=429, headers={"retry-after": "3"}),
    "boto3": SdkError(response=boto("ThrottlingException", 429)),
    "boto3, in a stream": SdkError(response=boto("throttlingException", None)),
    "google": SdkError(code=HTTPStatus.TOO_MANY_REQUESTS),
    "google-genai": SdkError(code=429, status="RESOURCE_EXHAUSTED"),
    "grpc": SdkError(code=grpc("RESOURCE_EXHAUSTED")),
}


@pytest.mark.parametrize("library", LIBRARIES)
def test_each_librarys_refusal_is_a_limit(library: str) -> None:
    """Directly, and as the cause of a framework's error."""
    own = LIBRARIES[library]
    wrapped = ValueError("Error raised by the service")
    wrapped.__cause__ = own
    for error in (own, wrapped):
        told = read_raised(error)
        assert isinstance(told, Raised)
        assert classify(*told, PROFILES["generic"].dialect, 0.0).kind == "limit"


def test_when_to_come_back_is_read() -> None:
    """From headers where the exception has them, else from its message."""
    waits = {}
    for library in ("boto3", "aiohttp", "grpc"):
        told = read_raised(LIBRARIES[library])
        assert isinstance(told, Raised)
        waits[library] = classify(*told, "none", 0.0).retry_after_s
    assert waits == {"boto3": 3.0, "aiohttp": 3.0, "grpc": 2.0}


def test_a_real_response_is_read_without_waiting_for_it() -> None:
    """httpx's own error: what was read of the body is used, and what was not is not asked for."""
    request = httpx.Request("POST", "http://model.test")
    for response in (
        httpx.Response(503, json={"error": "down"}, request=request),
        httpx.Response(503, stream=httpx.ByteStream(b"unread"), request=request),
    ):
        with pytest.raises(httpx.HTTPStatusError) as caught:
            response.raise_for_status()
        told = read_raised(caught.value)
        assert isinstance(told, Raised)
        assert told.status == 503
        if response.is_stream_consumed:
            assert json.loads(told.body) == {"error": "down"}


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ConnectionRefusedError(), "unsent"),
        (EndpointConnectionError(), "unsent"),
        (httpx.ConnectTimeout("slow"), "unsent"),
        (httpx.ReadTimeout("slow"), "lost"),
        (ConnectionResetError(), "lost"),
        (TimeoutError(), "lost"),
        (ValueError("429"), None),
        (SdkError(status_code=200, code="429"), None),
        (SdkError(status_code=True, response=boto("", None)), None),
        (SdkError(code=print), None),
    ],
)
def test_connections_and_what_says_nothing(error: Exception, told: str | None) -> None:
    """Connections are known by their names; a success, and what is no number, say nothing."""
    assert read_raised(error) == told


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
)
NAMES = ("status_code", "status", "code", "body", "headers", "response")


@given(st.dictionaries(st.sampled_from(NAMES), VALUES), st.booleans())
def test_whatever_an_exception_carries_is_read(attributes: dict[str, Any], nested: bool) -> None:
    """No attribute makes reading fail, nor is anything but an error's status believed."""
    error = SdkError(response=SimpleNamespace(**attributes)) if nested else SdkError(**attributes)
    told = read_raised(error)
    assert not isinstance(told, Raised) or 400 <= told.status < 600
