"""Programs out of Debian's packages, unpacked into a folder: nothing on the system changes.

The machine's own apt is asked, with lists and caches in a folder of their own, so root is not
needed. What is unpacked runs through the loader and with the libraries of its own release.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory


def unpack(folder: Path, release: str, *packages: str) -> None:
    """Unpack packages of a Debian release, with all that they name, into `folder`, made anew.

    Raises:
        OSError: something failed, or cannot be had here; the message names it.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with TemporaryDirectory() as scratch:
        for package in _downloaded(Path(scratch), release, packages):
            run("dpkg-deb", "--extract", str(package), str(folder))


def through_loader(folder: Path, *libraries: str, name: str = "") -> list[str]:
    """Return what runs a program in `folder` with its own libraries, whose path is to follow.

    Args:
        folder: where it was unpacked.
        libraries: some that it needs: the folders that hold them are looked in, no others.
        name: what the program is to be called; ``""``: its path.
    """
    places = {file.parent for library in libraries for file in folder.rglob(library)}
    loader = next(file for place in places for file in place.glob("ld-linux-*"))
    named = ["--argv0", name] if name else []
    return [str(loader), *named, "--library-path", ":".join(map(str, sorted(places)))]


def run(*arguments: str) -> str:
    """Return what a command prints; OSError with what it says where it fails."""
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise OSError(f"{arguments[0]}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def _downloaded(scratch: Path, release: str, packages: tuple[str, ...]) -> list[Path]:
    """Download packages and all that they depend on, as on a machine that has nothing."""
    uris = run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages").split()
    (scratch / "sources.list").write_text(f"deb {uris[0]} {release} main\n")
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
    run("apt-get", *options, "update")
    run("apt-get", *options, "--download-only", "--no-install-recommends", "--yes",
        "install", *packages)  # fmt: skip
    return sorted((scratch / "cache/archives").glob("*.deb"))
