"""The configuration: every option documented, every mistake named with its place and remedy."""

from __future__ import annotations

import contextlib
import dataclasses
import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from accel_core.accel import Accel
from accel_core.config import AccelConfig, from_mapping, from_yaml
from accel_core.errors import ConfigError

EXAMPLE = Path(__file__).parents[2] / "examples" / "accel.yaml"

PRODUCTION = """
agent_latency_optimization:
  cache:
    l1_exact_cache: {enabled: true, max_entries: 5000, ttl_seconds: 300}
    l2_semantic_cache: {enabled: true, embedding_model: "text-embedding-3-large",
                        similarity_threshold: 0.92, max_entries: 20000, ttl_seconds: 3600}
  spec_execution: {enabled: true, confidence_threshold: 0.7, max_concurrent_specs: 3,
                   speculative_window_ms: 500}
  deduplication: {enabled: true, cache_window_ms: 2000}
  batch_processing: {enabled: true, batch_window_ms: 50, max_batch_size: 20}
"""


def paths(value: Any, prefix: str = "") -> set[str]:
    """Return the dotted names of all settings in nested mappings."""
    if not isinstance(value, dict):
        return {prefix}
    named = {key: item for key, item in value.items() if not key.startswith("_")}
    nested = (paths(item, f"{prefix}.{key}".lstrip(".")) for key, item in named.items())
    return set().union(*nested)


def test_example_names_every_setting_with_its_default() -> None:
    """The example file holds each setting once and is the default configuration."""
    data = yaml.safe_load(EXAMPLE.read_text())
    assert from_yaml(EXAMPLE) == AccelConfig()
    assert paths(data) == paths(dataclasses.asdict(AccelConfig()))


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}"])
def test_empty_file_is_valid(tmp_path: Path, text: str) -> None:
    """An empty file is the default configuration."""
    path = tmp_path / "accel.yaml"
    path.write_text(text)
    assert from_yaml(path) == AccelConfig()


@pytest.mark.parametrize(
    ("data", "path", "words"),
    [
        ({"cach": {}}, "cach", "did you mean 'cache'"),
        ({"cache": {"ttl": {"jiter": 1}}}, "cache.ttl.jiter", "did you mean 'jitter'"),
        ({"cache": {"ttl": {"jitter": 1.5}}}, "cache.ttl.jitter", "[0, 1)"),
        ({"cache": {"ttl": {"base_s": "soon"}}}, "cache.ttl.base_s", "'15m'"),
        ({"cache": {"ttl": {"base_s": 0}}}, "cache.ttl.base_s", "above 0"),
        ({"cache": {"enabled": "yes"}}, "cache.enabled", "true or false"),
        ({"cache": {"memory": {"max_entries": True}}}, "cache.memory.max_entries", "whole number"),
        ({"cache": {"memory": {"max_entries": -1}}}, "cache.memory.max_entries", "above 0"),
        ({"cache": {"semantic": {"min_similarity": 2}}}, "cache.semantic.min_similarity", "[0, 1]"),
        ({"cache": {"semantic": {"max_wrong_hits": 0.5}}}, "cache.semantic.max_wrong_hits", "0.2"),
        ({"cache": {"semantic": {"max_wrong_hits": 0.01, "min_similarity": 0.9}}},
         "cache.semantic.max_wrong_hits", "leave out min_similarity"),
        ({"cache": {"semantic": {"max_wrong_hits": 0.01, "serve_from": 0.9}}},
         "cache.semantic.max_wrong_hits", "serve_from"),
        ({"cache": {"semantic": {"trust": "earned"}}}, "cache.semantic.trust", "max_wrong_hits"),
        ({"cache": {"semantic": {"trust": "blind"}}}, "cache.semantic.trust", "'earned'"),
        ({"cache": {"semantic": {"learned": "l.json", "shadow": True}}},
         "cache.semantic.learned", "set max_wrong_hits"),
        ({"cache": {"semantic": {"learned": "", "max_wrong_hits": 0.01}}},
         "cache.semantic.learned", "name a file"),
        ({"cache": {"semantic": {"shadow_log": "log.jsonl"}}},
         "cache.semantic.shadow_log", "set shadow or max_wrong_hits"),
        ({"cache": {"semantic": {"shadow_log": "", "shadow": True}}},
         "cache.semantic.shadow_log", "name a file"),
        ({"cache": {"semantic": {"shadow": True}, "single_flight": {"enabled": False}}},
         "cache.single_flight.enabled", "leave it on"),
        ({"cache": {"semantic": {"encoder": {"kind": "bert"}}}},
         "cache.semantic.encoder.kind", "'minilm'"),
        ({"cache": {"semantic": {"encoder": {"kind": "openai"}}}},
         "cache.semantic.encoder.model", "name"),
        ({"cache": {"store": {"kind": "mongo"}}}, "cache.store.kind", "'sqlite'"),
        ({"cache": {"store": {"kind": "redis"}}}, "cache.store.url", "REDIS_URL"),
        ({"cache": {"store": {"url": "redis://h"}}}, "cache.store.kind", "'redis'"),
        ({"cache": {"admission": {"max_temperature": -1}}},
         "cache.admission.max_temperature", ">= 0"),
        ({"limits": {"shared": {"kind": "redis"}}}, "limits.provider", "named"),
        ({"limits": {"provider": "openai", "shared": {"kind": "redis"}}},
         "limits.shared.url", "REDIS_URL"),
        ({"limits": {"provider": "openai", "shared": {"url": "redis://h"}}},
         "limits.shared.kind", "'redis'"),
        ({"limits": {"provider": "openai", "shared": {"kind": "redis", "when_away": "open"}}},
         "limits.shared.when_away", "'closed'"),
        ({"limits": {"provider": "openai", "shared": {"name": ""}}}, "limits.shared.name", "text"),
        ({"cache": []}, "cache", "mapping"),
        ({"version": 2}, "version", "must be one of 1"),
        ({"security": {"previous_key_env": "X"}}, "security.previous_key_env", "key_env"),
        ({"namespace": "${NOT_SET_ANYWHERE}"}, "namespace", "NOT_SET_ANYWHERE"),
        ([1], "configuration", "mapping"),
    ],
)  # fmt: skip
def test_mistakes_are_named(data: Any, path: str, words: str) -> None:
    """A wrong setting is named by its path, its value and what belongs there."""
    with pytest.raises(ConfigError) as caught:
        from_mapping(data)
    assert caught.value.path == path
    assert words in str(caught.value)
    assert repr(caught.value.value) in str(caught.value)


@pytest.mark.parametrize("text", ["a: [", "\t", "cache: !!python/object:os.system {}"])
def test_unreadable_yaml_is_a_config_error(tmp_path: Path, text: str) -> None:
    """A file that is not plain YAML, or is not there, gives a ConfigError."""
    path = tmp_path / "accel.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="YAML"):
        from_yaml(path)
    with pytest.raises(ConfigError, match="readable"):
        from_yaml(tmp_path / "absent.yaml")


def test_durations_and_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Durations may be texts, and texts may name environment variables."""
    monkeypatch.setenv("APP", "shop")
    config = from_mapping({"namespace": "${APP}-eu", "cache": {"ttl": {"base_s": "1.5h"}}})
    assert (config.namespace, config.cache.ttl.base_s) == ("shop-eu", 5400.0)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_any_data_is_a_configuration_or_a_config_error(data: Any) -> None:
    """Nothing but ConfigError comes out of reading, whatever goes in."""
    for mapping in (data, {"cache": data}, {"agent_latency_optimization": data}):
        with warnings.catch_warnings(), contextlib.suppress(ConfigError):
            warnings.simplefilter("ignore")
            from_mapping(mapping)


def test_production_file_is_accepted() -> None:
    """The production file maps to our settings; parts of later versions are named in warnings."""
    with pytest.warns(UserWarning, match="has no effect") as caught:
        config = from_mapping(yaml.safe_load(PRODUCTION))
    assert {"batch_processing"} == {str(w.message).split(":")[0].split(".")[1] for w in caught}
    speculation = config.speculation
    assert (speculation.enabled, speculation.threshold, speculation.at_once) == (True, 0.7, 3)
    assert (speculation.window_s, speculation.reuse_s) == (0.5, 2.0)
    cache = config.cache
    assert (cache.exact, cache.semantic.enabled, cache.single_flight.enabled) == (True,) * 3
    assert cache.memory.max_entries == 20_000
    assert cache.ttl.base_s == 3600
    assert cache.semantic.min_similarity == 0.92
    assert (cache.semantic.encoder.kind, cache.semantic.encoder.model) == (
        "openai",
        "text-embedding-3-large",
    )
    with Accel(config):
        pass


@pytest.mark.parametrize(
    ("section", "path"),
    [
        ({"cache": {"l2_semantic_cache": {"enabled": True, "similarity_threshold": "high"}}},
         "l2_semantic_cache.similarity_threshold"),
        ({"cache": {"l3": {}}}, "agent_latency_optimization.cache.l3"),
        ({"cache": {"l1_exact_cache": {"ttl": 3}}}, "l1_exact_cache.ttl"),
        ({"deduplication": {"enabled": "on"}}, "deduplication.enabled"),
        ({"cache": {"l1_exact_cache": {"ttl_seconds": -5}}}, "ttl_seconds"),
    ],
)  # fmt: skip
def test_mistakes_in_the_production_file_are_named_there(section: Any, path: str) -> None:
    """A wrong setting of the production file is named by its place in that file."""
    with pytest.raises(ConfigError) as caught:
        from_mapping({"agent_latency_optimization": section})
    assert caught.value.path.endswith(path)


def test_secrets_come_from_the_environment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A configured secret must be set and long enough, and appears in no message and no repr."""
    config = from_mapping({"security": {"key_env": "ACCEL_TEST_KEY"}})
    with pytest.raises(ConfigError, match="at least 32 bytes"):
        Accel(config)
    monkeypatch.setenv("ACCEL_TEST_KEY", "short-secret")
    with pytest.raises(ConfigError) as caught:
        Accel(config)
    assert "short-secret" not in str(caught.value)
    monkeypatch.setenv("ACCEL_TEST_KEY", "s" * 32)
    with Accel(config) as accel:
        assert "sss" not in repr(vars(accel))
