"""What every test runs in: no certificates, the same dice, and nothing done for nothing."""

from __future__ import annotations

import gc
import importlib
import os
import pkgutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

PACKAGES = ["accel_core", "langchain_accel", "llamaindex_accel"]

# No test leaves this machine. Loading the certificates of all authorities takes an HTTP client
# 40 ms, a hundred times what the rest of it does; a folder without any is searched when needed.
os.environ.pop("SSL_CERT_FILE", None)
os.environ["SSL_CERT_DIR"] = str(Path(__file__).parent)

# The same examples in every run, so that what fails in one fails in the next; neither how busy
# the machine is nor how many share it decides. `make search` looks for others.
_ANYWHERE = {
    "deadline": None,
    "print_blob": True,
    "suppress_health_check": [HealthCheck.too_slow],
}
settings.register_profile("suite", derandomize=True, **_ANYWHERE)
settings.register_profile("search", max_examples=1000, **_ANYWHERE)
settings.load_profile("suite")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Make what tests find the same in every order, and searches for garbage short.

    Hypothesis draws from the constants of the modules that are loaded, so those of the product are,
    where a worker takes whatever test is next. Ten thousand collected tests are no garbage.
    """
    if hasattr(session.config, "workerinput"):
        for package in map(importlib.import_module, PACKAGES):
            for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
                importlib.import_module(found.name)
    gc.collect()
    gc.freeze()


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.default_int_handler(number, frame)


@pytest.fixture(scope="session", autouse=True)
def _own_interrupt() -> Iterator[None]:
    """Let no `asyncio.Runner` handle Ctrl-C: giving it back spells a whole run's result each time.

    A runner takes the signal only from Python's own handler. Restoring that one, `signal` looks the
    runner's up as a number, whose refusal spells it, its task, and what that has returned.
    """
    before = signal.signal(signal.SIGINT, _interrupt)
    yield
    signal.signal(signal.SIGINT, before)
