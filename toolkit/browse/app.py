"""FiftyOne's server, with one route before its own: `/` leads to the dataset. FiftyOne shows an empty page there.

`python -m toolkit.browse.app ADDRESS PORT` serves on 127.0.0.1 and never returns; `browse.open_app` runs it.
"""

import os
import sys

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route


def serve(address: str, port: int) -> None:
    """Serve the App until the process is killed; its first page leads to `address`."""
    os.environ["FIFTYONE_SERVER"] = "1"  # read when FiftyOne is imported: a server keeps no cache of its datasets
    from fiftyone.server.app import app
    from fiftyone.server.main import start_server

    def home(_: Request) -> Response:
        return RedirectResponse(address)

    app.router.routes.insert(0, Route("/", home))
    start_server(port, "127.0.0.1")


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
