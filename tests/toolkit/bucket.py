"""An S3 bucket on loopback: rclone's server of a folder, which speaks the protocol and checks every signature."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from fsspec import get_filesystem_class


@contextmanager
def serving(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an empty bucket, kept below `folder`; the environment says where it is and how to sign in."""
    (folder / "bucket").mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    patch.setenv("AWS_ACCESS_KEY_ID", "colleague")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    patch.setenv("NO_PROXY", "127.0.0.1")
    with suppress(ImportError):  # without s3fs
        get_filesystem_class("s3").clear_instance_cache()  # one of them may know another server
    command = ["serve", "s3", "--auth-key", "colleague,secret", "--addr", f"127.0.0.1:{port}", os.fspath(folder)]
    with subprocess.Popen([Path(sys.executable).with_name("rclone"), *command], stderr=subprocess.DEVNULL) as server:
        try:
            deadline = time.monotonic() + 20
            while not _answers(port):
                assert server.poll() is None and time.monotonic() < deadline, "rclone does not serve"
                time.sleep(0.02)
            yield "s3://bucket/store"
        finally:
            server.terminate()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
