"""A headless Chromium, driven over two pipes by its DevTools protocol, for tests of pages.

Nothing is downloaded to drive it. Each command waits for its answer, for `_PATIENCE_S` at most.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import select
import subprocess
import time
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tools import browser

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

_PATIENCE_S = 30.0
_FLAGS = (
    "--remote-debugging-pipe",
    "--no-sandbox",  # tests may be root, whom its sandbox refuses
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
)


class BrowserMissingError(Exception):
    """There is no browser; the message names the remedy."""


class Page:
    """One page of a running browser, from `with Page() as page`.

    Attributes:
        errors: what its console was told of, and exceptions of its scripts, since it was opened.
        requests: the addresses that it asked for.
    """

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.requests: list[str] = []
        self._numbers = itertools.count(1)
        self._session: str | None = None
        self._read = b""

    def __enter__(self) -> Page:
        command = browser.command()
        if command is None:
            raise BrowserMissingError("there is no browser in .browser; run: make browser")
        self._home = TemporaryDirectory()
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        # It reads from descriptor 3 and writes to 4, whatever numbers the pipes have here.
        shell = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self._process = subprocess.Popen(
            ["/bin/bash", "-c", shell, "chromium", *command, *_FLAGS,
             f"--user-data-dir={self._home.name}"],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **browser.settings(), "HOME": self._home.name},
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self._ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._out)  # without its pipe it ends
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._in)
        self._home.cleanup()

    def open(self, path: Path) -> None:
        """Open a file, and return when it is loaded."""
        self.errors.clear()
        self.requests.clear()
        self._loaded = False
        self._ask("Page.navigate", url=path.resolve().as_uri())
        until_s = time.monotonic() + _PATIENCE_S
        while not self._loaded:
            self._hear(until_s)

    def show(
        self, width: int, height: int = 900, *, dark: bool = False, printed: bool = False
    ) -> None:
        """Show it as wide as that, in pixels, light or dark, as on a screen or on paper."""
        self._ask(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        media = "print" if printed else "screen"
        self._ask("Emulation.setEmulatedMedia", media=media, features=[scheme])

    def evaluate(self, expression: str) -> Any:
        """Return what an expression of JavaScript is worth in the page."""
        answer = self._ask("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise ValueError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def picture(self, path: Path) -> None:
        """Write all of it as a PNG."""
        shot = self._ask("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _ask(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        until_s = time.monotonic() + _PATIENCE_S
        while True:
            heard = self._hear(until_s)
            if heard.get("id") == number:
                if "error" in heard:
                    raise OSError(f"{method}: {heard['error']}")
                return heard["result"]

    def _hear(self, until_s: float) -> dict[str, Any]:
        while b"\0" not in self._read:
            ready, _, _ = select.select([self._in], [], [], max(0.0, until_s - time.monotonic()))
            part = os.read(self._in, 1 << 20) if ready else b""
            if not part:
                raise OSError("the browser does not answer, or has ended")
            self._read += part
        line, self._read = self._read.split(b"\0", 1)
        heard: dict[str, Any] = json.loads(line)
        self._note(heard.get("method", ""), heard.get("params", {}))
        return heard

    def _note(self, method: str, told: dict[str, Any]) -> None:
        if method == "Log.entryAdded":
            self.errors.append(told["entry"]["text"])
        elif method == "Runtime.consoleAPICalled":
            self.errors.append(str(told["args"]))
        elif method == "Runtime.exceptionThrown":
            self.errors.append(str(told["exceptionDetails"]))
        elif method == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif method == "Page.loadEventFired":
            self._loaded = True
