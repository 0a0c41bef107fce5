"""The model server's replies: what may be made, and the smallest value of a schema."""

from __future__ import annotations

from typing import Any

import pytest

from accel_core.testing.replies import Reply, minimal_instance


def test_chunks_are_the_content() -> None:
    """Chunks make the content; chunks that make another one are refused."""
    assert Reply(chunks=("a", "b")).content == "ab"
    with pytest.raises(ValueError, match="not the content"):
        Reply(content="abc", chunks=("a", "b"))


@pytest.mark.parametrize(
    ("schema", "instance"),
    [
        ({}, "text"),
        ({"const": 7}, 7),
        ({"enum": ["a", "b"]}, "a"),
        ({"type": ["string", "null"]}, None),
        ({"type": "boolean"}, False),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, None),
        ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, 0),
        ({"type": "integer", "exclusiveMinimum": 3, "multipleOf": 5}, 5),
        ({"type": "integer", "maximum": -2}, -2),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5),
        ({"type": "number", "minimum": 2}, 3.0),
        ({"type": "number", "maximum": -2}, -3.0),
        ({"type": "number"}, 0.0),
        ({"type": "string", "format": "date"}, "2000-01-01"),
        ({"type": "string", "minLength": 6}, "text.."),
        ({"type": "string", "maxLength": 2}, "te"),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [0, 0]),
        ({"allOf": [{"$ref": "#/$defs/x"}], "$defs": {"x": {"const": 1}}}, 1),
        (
            {
                "properties": {"a": {"const": 1}},
                "required": ["a"],
                "allOf": [{"properties": {"b": {"const": 2}}, "required": ["b"]}],
            },
            {"a": 1, "b": 2},
        ),
    ],
)
def test_minimal_instance(schema: dict[str, Any], instance: object) -> None:
    """The smallest value satisfies the keywords that schemas of tools and answers use."""
    assert minimal_instance(schema) == instance


def test_endless_schema_is_refused() -> None:
    """A schema that needs itself has no finite value; one that may stop, stops."""
    node: dict[str, Any] = {"properties": {"next": {"$ref": "#"}}, "required": ["next"]}
    with pytest.raises(ValueError, match="without an end"):
        minimal_instance(node)
    node["properties"]["next"] = {"anyOf": [{"$ref": "#"}, {"type": "null"}]}
    assert minimal_instance(node) == {"next": None}
