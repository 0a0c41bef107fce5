"""The errors this package raises, and how errors are told.

::

    AccelError
    ├── ConfigError (ValueError)         a setting is wrong: path, value, expected
    ├── MissingExtraError (ImportError)  an optional library is not installed: extra, feature
    ├── UnsupportedError (TypeError)     accelerate() was given something it cannot wrap
    ├── BatchError                       a batched function gave no usable results
    ├── FileError (ValueError)           a file is wrong: path, line, problem, remedy
    │   ├── LabelledFileError            … of labelled questions
    │   └── TransferFileError            … of entries on their way from a store to another
    ├── LimitExceededError               a limit leaves no room in time: retry_after_s
    ├── RequestTooLargeError (ValueError) a limit can never take the call: unit, limit
    ├── TenantRequiredError              an operation needs a tenant and none is set
    └── BackendError                     the world failed: backend, operation; the cause is chained
        ├── StoreError
        │   └── StoreUnavailableError    it is away, or takes nothing, for now
        ├── VectorIndexError
        ├── EncoderError
        └── VerifierError

A miss, a stale entry, a refused admission or a removed entry are values, never exceptions.
A ``BackendError`` never reaches the user's model call: caches fail open and say so with an event.
Any other exception out of this package is a bug; please report it.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class AccelError(Exception):
    """Base of every error of this package; never raised itself."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword-only constructors break the default pickling of exceptions, and exceptions
        # do cross process pools.
        return (_restore, (type(self), self.args, self.__dict__))


def in_words(error: BaseException) -> str:
    """Spell an error for events and logs: its class, with the words of this package's own.

    Of the system's, such as a full disk, it is the reason. Words of others may hold anything: a
    question, or an address with its key.
    """
    kind = type(error).__name__
    if isinstance(error, OSError) and error.errno is not None:
        return f"{kind}: {error.strerror}"
    return f"{kind}: {error}" if isinstance(error, AccelError) else kind


def _restore(cls: type[AccelError], args: tuple[Any, ...], state: dict[str, Any]) -> AccelError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class ConfigError(AccelError, ValueError):
    """A setting is unknown, of the wrong type or out of range.

    Attributes:
        path: dotted place of the setting, for example ``cache.ttl.jitter``.
        value: what was found there.
        expected: what belongs there, in words.
    """

    def __init__(self, path: str, value: object, expected: str) -> None:
        super().__init__(f"{path}: {expected}, got {value!r}")
        self.path, self.value, self.expected = path, value, expected


class MissingExtraError(AccelError, ImportError):
    """A feature needs an optional library that is not installed."""

    def __init__(self, extra: str, feature: str) -> None:
        super().__init__(f"{feature} needs: pip install 'llm-accel[{extra}]'")
        self.extra, self.feature = extra, feature


class UnsupportedError(AccelError, TypeError):
    """What cannot be wrapped, or waited on, was given; the message names what works."""


class BatchError(AccelError):
    """A batched function did not return one result for each item, or its call was interrupted.

    Attributes:
        function: its name.
        problem: what went wrong.
    """

    def __init__(self, function: str, problem: str) -> None:
        super().__init__(
            f"{function}, called through batched(), {problem}; it must take a list and return a "
            "list of as many results, in the same order"
        )
        self.function, self.problem = function, problem


class FileError(AccelError, ValueError):
    """A file that somebody named cannot be used.

    Attributes:
        path: the file.
        line: the number of the line, from 1; None where the whole file is meant.
        problem: what is wrong with it.
        remedy: what to do about it.
    """

    def __init__(self, path: object, line: int | None, problem: str, remedy: str) -> None:
        place = f"{path}" if line is None else f"{path}, line {line}"
        super().__init__(f"{place} {problem}; {remedy}")
        self.path, self.line, self.problem, self.remedy = str(path), line, problem, remedy


class LabelledFileError(FileError):
    """A file of labelled questions cannot be used."""


class TransferFileError(FileError):
    """A file of stored entries cannot be written, or read."""


class TenantRequiredError(AccelError):
    """``tenant_required`` is set and an administrative call was made without a tenant."""


class BackendError(AccelError):
    """A store, an index, an encoder or a verifier failed.

    Attributes:
        backend: which one, for example ``sqlite``.
        operation: what was asked of it, for example ``fetch``.
    """

    def __init__(self, backend: str, operation: str, detail: str) -> None:
        super().__init__(f"{backend} failed to {operation}: {detail}")
        self.backend, self.operation, self.detail = backend, operation, detail


class StoreError(BackendError):
    """A store failed."""


class StoreUnavailableError(StoreError):
    """A store cannot be reached, or takes nothing, for now: the same may succeed later."""


class VectorIndexError(BackendError):
    """A vector index failed."""


class EncoderError(BackendError):
    """An encoder failed, or returned something that is not a vector."""


class LimitExceededError(AccelError):
    """A call would have had to wait for its provider's limits longer than it may.

    Attributes:
        retry_after_s: when there would be room for it, in seconds from now.
    """

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(
            f"the provider's limits leave room in {retry_after_s:.1f} s, later than this call may "
            "wait: allow it more time, another tier, or fewer tokens"
        )
        self.retry_after_s = retry_after_s


class RequestTooLargeError(AccelError, ValueError):
    """A call asks for more than a limit can ever give, so waiting would be in vain.

    Attributes:
        unit: what it asks too much of.
        limit: how much there can be.
    """

    def __init__(self, unit: str, limit: float) -> None:
        super().__init__(
            f"the call needs more {unit} than the limit of {limit:.0f}: shorten the prompt, "
            "or lower its maximum of output tokens"
        )
        self.unit, self.limit = unit, limit


class VerifierError(BackendError):
    """A verifier failed, or returned something that is not a verdict."""


def limits_error(error: BaseException) -> AccelError | None:
    """Return what a limiter raised and a library wrapped in errors of its own; None: nothing."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, (LimitExceededError, RequestTooLargeError)):
            return cause
        cause = cause.__cause__
    return None


@contextmanager
def limits_unwrapped() -> Iterator[None]:
    """Raise what a limiter raised inside as its own error, whatever a library made of it."""
    try:
        yield
    except Exception as error:
        limits = limits_error(error)
        if limits is None or limits is error:
            raise
        raise limits from None
