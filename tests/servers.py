"""Servers on loopback, for the time of a test: any program that listens at a port; a bucket."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from fsspec import get_filesystem_class


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@contextmanager
def serving(command: Sequence[str | Path], port: int) -> Iterator[None]:
    """A server, from when it answers until it is no longer needed."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as server:
        try:
            deadline = time.monotonic() + 20
            while not _answers(port):
                assert server.poll() is None, f"{command[0]} ended"
                assert time.monotonic() < deadline, f"{command[0]} does not answer"
                time.sleep(0.02)
            yield
        finally:
            server.terminate()


@contextmanager
def bucket(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of rclone's S3 server of `folder`, in which `bucket` is one; the environment says how to sign in.

    It verifies every request's signature.
    """
    (folder / "bucket").mkdir(parents=True)
    port = free_port()
    patch.setenv("AWS_ACCESS_KEY_ID", "colleague")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    patch.setenv("NO_PROXY", "127.0.0.1")
    with suppress(ImportError):  # without s3fs
        get_filesystem_class("s3").clear_instance_cache()  # one of them may know another server
    rclone = [Path(sys.executable).with_name("rclone"), "serve", "s3", "--auth-key", "colleague,secret"]
    with serving([*rclone, "--addr", f"127.0.0.1:{port}", folder], port):
        yield f"http://127.0.0.1:{port}"


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
