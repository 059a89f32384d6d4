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


def address(dataset: str, port: int) -> str:
    """Where the App shows the dataset."""
    return f"http://127.0.0.1:{port}/datasets/{quote(dataset)}"


def open_app(dataset: "fiftyone.Dataset", port: int, *, root: Path = Path()) -> tuple[str, subprocess.Popen[bytes]]:
    """Serve the App on 127.0.0.1; the dataset's address and the process, once it answers. It ends with this one.

    `root` is the repository's, whose params and maps the App's panel reads.
    The port's first page leads to the dataset, too. It opens no browser. FiftyOne's own `launch_app` would join
    whatever App answers on the port, with another database behind it, and gives up on a busy machine.
    """
    try:
        with socket.create_server(("127.0.0.1", port)):
            pass
    except OSError as error:
        raise BadInput(Problem(f"port {port}", f"cannot be used ({error.strerror})", "choose another port")) from None
    command = [sys.executable, "-m", "toolkit.browse.app", dataset.name, str(port), str(root)]
    server = mongod.bound(command, "KILL")  # politely, it waits half a minute for its database
    if not mongod.answers(server, port, PATIENCE):
        raise RuntimeError(f"the App's server does not answer (exit status {server.poll()}): {' '.join(command)}")
    return address(dataset.name, port), server
