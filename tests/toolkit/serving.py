"""A web server on loopback and the archives that it sends, for whatever downloads."""

import io
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from stat import S_IFLNK
from threading import Thread


@dataclass
class Server:
    """A web server of some files, which can break off, ignore ranges or fail; it counts what it sends."""

    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    status: int = 200
    break_after: int | None = None  # bytes of the next answer
    sent: list[int] = field(default_factory=list)  # bytes of each answer
    root: str = ""

    def url(self, name: str) -> str:
        return f"{self.root}/{name}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        data = self.files[request.path.removeprefix("/")]
        span = request.headers.get("Range") if self.ranges else None
        start = int(span.removeprefix("bytes=").removesuffix("-")) if span else 0
        total = len(data)
        if self.status != 200 or start >= total:
            self.sent.append(0)  # before the client can know of it
            request.send_response(self.status if self.status != 200 else 416)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        request.send_response(206 if span else 200)
        request.send_header("Content-Length", str(total - start))
        if span:
            request.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        request.end_headers()
        body = data[start:][: self.break_after]
        self.break_after = None
        self.sent.append(len(body))
        request.wfile.write(body)


@contextmanager
def serving() -> Iterator[Server]:
    served = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.answer(self)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.root = f"http://127.0.0.1:{http.server_port}"
    thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield served
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def tar(files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> bytes:
    """A tar archive of symbolic links (name to target) and, after them, files."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:") as archive:
        for name, target in (links or {}).items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            archive.addfile(link)
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


def zipped(files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> bytes:
    """The same as a zip archive."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, target in (links or {}).items():
            link = zipfile.ZipInfo(name)
            link.external_attr = (S_IFLNK | 0o777) << 16
            archive.writestr(link, target)
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
