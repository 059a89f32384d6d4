"""The App, served for a dataset in a process of its own."""

import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from toolkit import mongod
from toolkit.errors import BadInput, Problem

if TYPE_CHECKING:
    import fiftyone

PATIENCE = 300  # seconds that the App may take to start: it is big, and reads its files from a cold disk


def open_app(dataset: "fiftyone.Dataset", port: int, *, root: Path = Path()) -> tuple[str, subprocess.Popen[bytes]]:
    """Serve the App on 127.0.0.1; the address of the dataset's first view and the process, once it answers.

    `root` is the repository's, whose params and maps the App's panel reads. The process ends with this one. The port's
    first page leads to that view, too. It opens no browser. FiftyOne's own `launch_app` would join whatever App answers
    on the port, with another database behind it, and gives up on a busy machine.
    """
    require_free(port)
    address = _address(dataset, port)
    command = [sys.executable, "-m", "toolkit.browse.app", address, str(port), str(root)]
    server = mongod.bound(command, "KILL")  # politely, it waits half a minute for its database
    if not mongod.answers(server, port, PATIENCE):
        raise RuntimeError(f"the App's server does not answer (exit status {server.poll()}): {' '.join(command)}")
    return address, server


def require_free(port: int) -> None:
    """Raise `BadInput` where something listens on the port, or nothing may."""
    try:
        with socket.create_server(("127.0.0.1", port)):
            pass
    except OSError as error:
        raise BadInput(Problem(f"port {port}", f"cannot be used ({error.strerror})", "choose another port")) from None


def _address(dataset: "fiftyone.Dataset", port: int) -> str:
    """Where the App shows the dataset's first saved view, which says what to look at; without one, the dataset."""
    from fiftyone.core.utils import to_slug

    views = dataset.list_saved_views()
    return f"http://127.0.0.1:{port}/datasets/{quote(dataset.name)}" + (f"?view={to_slug(views[0])}" if views else "")
