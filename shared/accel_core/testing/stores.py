"""What every store promises, as tests: derive a class, give it a store, and run pytest.

::

    class TestMyStore(StoreContract):
        @pytest.fixture
        def store(self):
            store = MyStore()
            yield store
            store.close()

It knows nothing but the Protocols in `accel_core.ports`. For a store that other processes write
too there is more in `accel_core.testing.shared_stores`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import pytest

from accel_core.ports import Entry, Selector, Store


def digest(name: object) -> bytes:
    """Return the key that `StoreContract.make_entry` gives to `name`."""
    return blake2b(str(name).encode(), digest_size=16).digest()


def one_number(place: int) -> bytes:
    """Return a vector that is 1 at `place` of 64 and else 0; a byte a number keeps it as it is."""
    return b"\0\0" * place + b"\0\x3c" + b"\0\0" * (63 - place)


class StoreContract:
    """The promises of `accel_core.ports.Store`."""

    @pytest.fixture
    def store(self) -> Any:
        """The store under test, empty; close it afterwards."""
        raise NotImplementedError("override the fixture `store`")

    def make_entry(self, name: object = "one", **fields: Any) -> Entry:
        """Return an entry whose key follows from `name`; `fields` replace its defaults."""
        defaults: dict[str, Any] = {
            "key": digest(name),
            "scope": digest("scope"),
            "tenant": digest("tenant"),
            "namespace": "support",
            "text": f"How do I reset my password, {name}?",
            "payload": f'{{"answer": "{name}"}}'.encode(),
            "created_s": 1_700_000_000.25,
            "expires_s": 9_000_000_000.5,
            "tags": ("faq", f"name:{name}"),
            "encoder": "an-encoder",
            "vector": one_number(digest(name)[0] % 64),
            "source": "a-model",
        }
        return Entry(**{**defaults, **fields})

    def test_is_a_store(self, store: Store) -> None:
        """It has every method of the Protocol, and says whether it blocks."""
        assert isinstance(store, Store)
        assert isinstance(store.blocking, bool)

    def test_fetch_unknown(self, store: Store) -> None:
        """What was never saved is None."""
        assert store.fetch(digest("unknown")) is None

    def test_fetch_returns_what_was_saved(self, store: Store) -> None:
        """An entry comes back equal in every field."""
        entry = self.make_entry()
        store.save([entry])
        assert store.fetch(entry.key) == entry

    def test_absent_fields_stay_absent(self, store: Store) -> None:
        """An entry without tenant, text, tags, vector and source comes back without them."""
        bare = Entry(
            key=digest("bare"), scope=b"s", payload=b"", created_s=1, expires_s=9e9, semantic=False
        )
        store.save([bare])
        assert store.fetch(bare.key) == bare

    def test_save_several(self, store: Store) -> None:
        """Every entry of one call is stored."""
        entries = [self.make_entry(number) for number in range(50)]
        store.save(entries)
        assert [store.fetch(entry.key) for entry in entries] == entries

    def test_fetch_many(self, store: Store) -> None:
        """Entries come back under their keys, without those that are unknown, each once."""
        entries = [self.make_entry(number) for number in range(50)]
        store.save(entries)
        keys = [digest("unknown"), *(entry.key for entry in entries[::-2]), entries[1].key]
        assert store.fetch_many(keys) == {entry.key: entry for entry in entries[1::2]}
        assert store.fetch_many({entry.key for entry in entries[:3]}).keys() == {
            entry.key for entry in entries[:3]
        }

    def test_fetch_many_of_none(self, store: Store) -> None:
        """No keys, and keys that are all unknown, are no entries."""
        store.save([self.make_entry()])
        assert store.fetch_many([]) == {}
        assert store.fetch_many([digest("unknown")]) == {}

    def test_save_nothing(self, store: Store) -> None:
        """An empty call changes nothing."""
        store.save([])
        assert store.select(Selector()) == []

    def test_save_replaces(self, store: Store) -> None:
        """The second entry under a key is the only one, and found by its own properties alone."""
        old = self.make_entry(tags=("old",), namespace="old")
        new = replace(old, payload=b"[2]", tags=("new",), namespace="new")
        store.save([old])
        store.save([new])
        assert store.fetch(old.key) == new
        assert store.select(Selector()) == [new.key]
        assert store.select(Selector(tag="old")) == store.select(Selector(namespace="old")) == []
        assert store.select(Selector(tag="new", namespace="new")) == [new.key]

    def test_last_of_one_call_wins(self, store: Store) -> None:
        """Of two entries with one key in one call, the later one is stored."""
        first = self.make_entry()
        last = replace(first, payload=b"[2]")
        store.save([first, last])
        assert store.fetch(first.key) == last
        assert store.remove([first.key]) == 1

    @pytest.mark.parametrize(
        "payload",
        [b"", b"\0", bytes(range(256)), b"\xff\xfe" * 3, b'{"x": 1}\r\n ', b"long" * 100_000],
        ids=["empty", "nul", "every byte", "not utf-8", "white space", "long"],
    )
    def test_payload_is_exact(self, store: Store, payload: bytes) -> None:
        """A payload comes back byte for byte."""
        store.save([self.make_entry(payload=payload)])
        found = store.fetch(digest("one"))
        assert found is not None
        assert found.payload == payload

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "Wie heißt du?",
            "忘了密码怎么办",
            "🤷🏽‍♀️",
            "e\u0301 \u00e9",
            "a\0b",
            "\ud800 alone",
            "'; --",
        ],
        ids=["empty", "latin", "han", "joined", "both forms", "nul", "surrogate", "quote"],
    )
    def test_any_text(self, store: Store, text: str) -> None:
        """Any string is a text, a tag, a namespace, and found by it."""
        entry = self.make_entry(text=text, tags=(text,), namespace=text, source=text)
        store.save([entry, self.make_entry("two")])
        assert store.fetch(entry.key) == entry
        assert store.select(Selector(text=text)) == [entry.key]
        assert store.select(Selector(tag=text)) == [entry.key]
        assert store.select(Selector(namespace=text)) == [entry.key]

    def test_any_key(self, store: Store) -> None:
        """Keys are bytes: none is cut at a nul or taken for another."""
        keys = [b"a", b"a\0", b"a\0\0", b"A", b"\xff" * 64, b"%", b"a*"]
        entries = [self.make_entry(key, key=key) for key in keys]
        store.save(entries)
        assert [store.fetch(key) for key in keys] == entries

    def test_select_without_conditions(self, store: Store) -> None:
        """No condition means every entry, each once."""
        entries = [self.make_entry(number) for number in range(5)]
        store.save(entries)
        assert sorted(store.select(Selector())) == sorted(entry.key for entry in entries)

    @pytest.mark.parametrize(
        ("condition", "field"),
        [
            ({"key": digest("one")}, {}),
            ({"scope": b"other"}, {"scope": b"other"}),
            ({"tenant": b"other"}, {"tenant": b"other"}),
            ({"tenant": b""}, {"tenant": b""}),
            ({"namespace": "other"}, {"namespace": "other"}),
            ({"namespace": ""}, {"namespace": ""}),
            ({"tag": "other"}, {"tags": ("first", "other", "last")}),
            ({"text": "Other?"}, {"text": "Other?"}),
        ],
        ids=["key", "scope", "tenant", "no tenant", "namespace", "no namespace", "tag", "text"],
    )
    def test_select_by(
        self, store: Store, condition: dict[str, Any], field: dict[str, Any]
    ) -> None:
        """Each condition selects exactly the entries that fulfil it."""
        store.save([self.make_entry("one", **field), self.make_entry("two")])
        assert store.select(Selector(**condition)) == [digest("one")]

    def test_select_is_exact(self, store: Store) -> None:
        """A condition is neither a prefix, nor a pattern, nor blind to case."""
        store.save([self.make_entry(tags=("user:12",), namespace="ns_1", text="Hello")])
        for near in ("user:1", "user:123", "USER:12", "user:%", "user:*", ""):
            assert store.select(Selector(tag=near)) == []
        for near in ("ns", "ns_1 ", "ns%1", "NS_1", ""):
            assert store.select(Selector(namespace=near)) == []
        for near in ("hello", "Hell", "Hello ", ""):
            assert store.select(Selector(text=near)) == []

    def test_select_by_several(self, store: Store) -> None:
        """All conditions must hold."""
        fields: dict[str, Any] = {
            "scope": b"s", "tenant": b"t", "namespace": "n", "tags": ("a", "b"), "text": "q"
        }  # fmt: skip
        store.save([self.make_entry("all", **fields)])
        for name in fields:
            others = {other: value for other, value in fields.items() if other != name}
            store.save([self.make_entry(name, **others)])
        selector = Selector(scope=b"s", tenant=b"t", namespace="n", tag="a", text="q")
        assert store.select(selector) == [digest("all")]
        assert store.select(replace(selector, key=digest("all"))) == [digest("all")]
        assert store.select(replace(selector, key=digest("text"))) == []

    def test_select_changes_nothing(self, store: Store) -> None:
        """Selecting twice gives the same, and everything is still there."""
        entry = self.make_entry()
        store.save([entry])
        assert store.select(Selector()) == store.select(Selector()) == [entry.key]
        assert store.fetch(entry.key) == entry

    def test_remove(self, store: Store) -> None:
        """What is removed is not there any more, and nothing else is missing."""
        gone, kept = self.make_entry("gone"), self.make_entry("kept")
        store.save([gone, kept])
        assert store.remove([gone.key]) == 1
        assert store.fetch(gone.key) is None
        assert store.fetch(kept.key) == kept
        assert store.select(Selector(tag="faq")) == [kept.key]

    def test_remove_counts_what_was_there(self, store: Store) -> None:
        """Unknown keys, keys named twice and keys removed before do not count."""
        entry = self.make_entry()
        store.save([entry])
        assert store.remove([]) == 0
        assert store.remove([digest("unknown")]) == 0
        assert store.remove([entry.key, digest("unknown"), entry.key]) == 1
        assert store.remove({entry.key}) == 0

    def test_remove_many(self, store: Store) -> None:
        """There is no limit to the keys of one call."""
        entries = [self.make_entry(number) for number in range(2_000)]
        store.save(entries)
        assert store.remove({entry.key for entry in entries}) == len(entries)
        assert store.select(Selector()) == []

    def test_discard(self, store: Store) -> None:
        """What is given is removed, where nothing has replaced it since."""
        gone, kept = self.make_entry("gone"), self.make_entry("kept")
        replaced = self.make_entry("replaced")
        newer = self.make_entry("replaced", created_s=replaced.created_s + 1)
        store.save([gone, kept, newer])
        store.discard([gone, replaced, self.make_entry("unknown")])
        assert store.fetch(gone.key) is None
        assert store.fetch(newer.key) == newer
        store.discard([])
        store.discard([newer])
        assert store.fetch(newer.key) is None
        assert store.fetch(kept.key) == kept

    def test_save_after_remove(self, store: Store) -> None:
        """A removed key can be saved again."""
        entry = self.make_entry()
        store.save([entry])
        store.remove([entry.key])
        store.save([entry])
        assert store.fetch(entry.key) == entry
        assert store.select(Selector(tag="faq")) == [entry.key]

    def test_flush(self, store: Store) -> None:
        """Flushing keeps everything, and may be done with nothing to write."""
        store.flush()
        entry = self.make_entry()
        store.save([entry])
        store.flush()
        assert store.fetch(entry.key) == entry

    def test_close_twice(self, store: Store) -> None:
        """Closing again does nothing."""
        store.save([self.make_entry()])
        store.close()
        store.close()

    def test_threads(self, store: Store) -> None:
        """Threads that save, fetch, select and remove at once all see whole entries."""
        common = digest("common")

        def work(worker: int) -> list[Entry]:
            kept = []
            for number in range(20):
                name = f"{worker}.{number}"
                own = self.make_entry(name, tags=(f"worker:{worker}",))
                store.save([own, self.make_entry(name, key=common, tags=())])
                assert store.fetch(own.key) == own
                shared = store.fetch(common)
                assert shared is not None
                assert shared.payload.decode().split('"')[3] in shared.text
                if number % 2:
                    assert store.remove([own.key]) == 1
                else:
                    kept.append(own)
                assert len(store.select(Selector(tag=f"worker:{worker}"))) == len(kept)
            return kept

        with ThreadPoolExecutor(8) as pool:
            kept = [entry for entries in pool.map(work, range(8)) for entry in entries]
        assert [store.fetch(entry.key) for entry in kept] == kept
        assert len(store.select(Selector())) == len(kept) + 1
