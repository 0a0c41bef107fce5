"""A real Chromium without windows for the tests of pages, unpacked into ``.browser/``.

It is Debian's ``chromium-headless-shell``. What cannot be had here is said, and its tests are
skipped with that remedy.

Run ``make browser``; what is there is not fetched again.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tools import debian

ROOT = Path(__file__).parents[1] / ".browser"
_RELEASE = "bookworm"
_PACKAGES = ("chromium-headless-shell", "fonts-dejavu-core")
_FOLDER = ROOT / "usr/lib/chromium"
_START = _FOLDER / "start"


def command() -> list[str] | None:
    """Return the command that runs it; None where it has not been obtained."""
    if not (ROOT / "done").exists():
        return None
    return [str(_START), "--no-zygote", f"--browser-subprocess-path={_START}"]


def settings() -> dict[str, str]:
    """Return the environment that lets it find its own letters."""
    return {"FONTCONFIG_FILE": str(ROOT / "fonts.conf")}


def obtain() -> None:
    """Unpack it, with the libraries and letters that it names."""
    debian.unpack(ROOT, _RELEASE, *_PACKAGES)
    loader, *options = debian.through_loader(ROOT, "libc.so.6", "libnss3.so", "libpulsecommon-*.so")
    # It looks for its files beside what runs, and starts that anew for each page: so its loader
    # stands beside them, and what is started is a script that names the program.
    shutil.copy2(loader, _FOLDER / "loader")
    command = " ".join(
        (str(_FOLDER / "loader"), *options, str(_FOLDER / "chromium-headless-shell"))
    )
    _START.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    _START.chmod(0o755)
    fonts, cache = ROOT / "usr/share/fonts", ROOT / "fonts"
    (ROOT / "fonts.conf").write_text(
        f"<fontconfig><dir>{fonts}</dir><cachedir>{cache}</cachedir></fontconfig>\n"
    )
    (ROOT / "done").touch()


def main() -> None:
    """Obtain it where it is not there, and say where it cannot be had."""
    if command() is not None:
        return
    try:
        obtain()
    except (OSError, StopIteration, IndexError, subprocess.SubprocessError) as error:
        print(f"no browser can be had here, its tests will be skipped: {error!r}")
    else:
        print(f"a browser is in {ROOT}")


if __name__ == "__main__":
    main()
