"""Files of labelled questions: what is read from them, and what is said of wrong ones."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from accel_core.errors import LabelledFileError
from accel_core.evaluation.labelled import clusters_of, read_clusters, read_pairs, texts_of

if TYPE_CHECKING:
    from pathlib import Path


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


PAIRS = '{"a": "x", "b": "y", "same": 1}\n\n{"a": "x", "b": "z", "same": 0}\n'


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.jsonl", PAIRS),
        ("p.csv", "a,b,same\nx,y,1\nx,z,0\n"),
        ("p.csv", "question1,question2,is_duplicate\nx,y,TRUE\nx,z,false\n"),
        ("p.tsv", "text_a\ttext_b\tlabel\nx\ty\tsame\nx\tz\tdifferent\n"),
    ],
)
def test_reads_what_people_have(tmp_path: Path, name: str, text: str) -> None:
    """JSON lines and tables, under the customary names of columns and labels."""
    pairs = read_pairs(written(tmp_path, name, text))
    assert [(pair.a, pair.b, pair.same) for pair in pairs] == [("x", "y", True), ("x", "z", False)]


def test_reads_compressed_files(tmp_path: Path) -> None:
    """A gzipped file is the same file."""
    path = tmp_path / "p.jsonl.gz"
    path.write_bytes(gzip.compress(PAIRS.encode()))
    assert [pair.line for pair in read_pairs(path)] == [1, 3]


def test_says_a_pair_once(tmp_path: Path) -> None:
    """A pair that is repeated, in either order, counts once."""
    text = PAIRS + '{"a": "y", "b": "x", "same": 1}\n'
    assert len(read_pairs(written(tmp_path, "p.jsonl", text))) == 2


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p.jsonl", '{"a": "x", "same": 1}\n', r"line 1 has no column 'b'.*'question2'"),
        ("p.jsonl", PAIRS + '{"a": "x", "b": "q"}\n', r"line 4 has no column 'same'"),
        ("p.csv", "a,b,same\nx,y,\n", r"line 2 has no value for 'same'"),
        ("p.csv", "a,b,same\nx\n", r"line 2 has no value for 'b'"),
        ("p.jsonl", '{"a": "x", "b": "y", "same": 0.5}\n', r"line 1 has the label 0.5.*write 1"),
        ("p.jsonl", '{"a": "  ", "b": "y", "same": 1}\n', r"line 1 'a' is '  '"),
        ("p.jsonl", '{"a": 3, "b": "y", "same": 1}\n', r"line 1 'a' is 3"),
        ("p.jsonl", '{"a": "x", "b"\n', r"line 1 is not JSON"),
        ("p.jsonl", "[1]\n", r"line 1 is not a JSON object"),
        ("p.jsonl", '{"a": "x", "b": "y", "same": 1}\n', r"pairs of one kind only; give"),
        ("p.jsonl", "", r"pairs of one kind only"),
        ("p.txt", PAIRS, r"unknown kind; name it"),
        (
            "p.jsonl",
            PAIRS + '{"a": "z", "b": "x", "same": 1}\n',
            r"line 4 contradicts line 3.*keep one",
        ),
    ],
)
def test_says_what_is_wrong_and_where(tmp_path: Path, name: str, text: str, message: str) -> None:
    """Every mistake is named with its line and what to do about it."""
    with pytest.raises(LabelledFileError, match=message):
        read_pairs(written(tmp_path, name, text))


def test_a_file_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    """A missing file, bytes that are no text, and half an archive are not bugs of ours."""
    half = tmp_path / "half.jsonl.gz"
    half.write_bytes(gzip.compress(PAIRS.encode() * 500)[:40])
    foreign = tmp_path / "foreign.jsonl"
    foreign.write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "none.jsonl", half, foreign):
        with pytest.raises(LabelledFileError, match="cannot be read"):
            read_pairs(path)


def test_pairs_join_into_clusters(tmp_path: Path) -> None:
    """What is the same as the same is the same; the rest stands alone."""
    text = "a,b,same\na,b,1\nc,d,1\nb,c,1\na,x,0\n"
    clusters = clusters_of(read_pairs(written(tmp_path, "p.csv", text)))
    assert [cluster.asks for cluster in clusters] == [("a", "b", "c", "d"), ("x",)]
    assert texts_of(clusters) == ["a", "b", "c", "d", "x"]


def test_clusters_may_be_given_as_they_are(tmp_path: Path) -> None:
    """Rows of wordings are clusters; one without any is a mistake."""
    text = '{"asks": ["hi", "hello"]}\n{"id": 7, "asks": ["bye"], "near": 1}\n'
    clusters = read_clusters(written(tmp_path, "q.jsonl", text))
    assert [(cluster.id, cluster.asks, cluster.near) for cluster in clusters] == [
        (1, ("hi", "hello"), None),
        (7, ("bye",), 1),
    ]
    with pytest.raises(LabelledFileError, match=r"line 2 'asks' is \[\]; give a list of texts"):
        read_clusters(written(tmp_path, "q.jsonl", '{"asks": ["hi"]}\n{"asks": []}\n'))


def test_questions_may_name_their_intent(tmp_path: Path) -> None:
    """Rows of text and intent are clusters; a text with two intents is a mistake."""
    clusters = read_clusters(written(tmp_path, "q.csv", "text,intent\nhi,1\nbye,2\nhello,1\n"))
    assert [cluster.asks for cluster in clusters] == [("hi", "hello"), ("bye",)]
    with pytest.raises(LabelledFileError, match=r"line 3 contradicts line 2"):
        read_clusters(written(tmp_path, "q.csv", "text,intent\nhi,1\nhi,2\n"))
