"""FiftyOne's server with salvoc's panel, and with two routes before its own.

`/` leads to the dataset, where FiftyOne shows an empty page; `/media` has the panel's masks and what lies in shards,
which are no files.
`python -m toolkit.browse.app ADDRESS PORT FOLDER` serves on 127.0.0.1 and never returns; FOLDER is the run's, whose
params and maps the panel reads. `browse.open_app` runs it.
"""

import os
import sys
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from toolkit.browse import preview
from toolkit.files import new_folder
from toolkit.shards import exists, read

PLUGINS = Path(".salvoc") / "plugins"


def serve(address: str, port: int) -> None:
    """Serve the App until the process is killed; its first page leads to `address`."""
    os.environ["FIFTYONE_SERVER"] = "1"  # read when FiftyOne is imported: a server keeps no cache of its datasets
    import fiftyone
    from fiftyone.server.app import app
    from fiftyone.server.main import start_server
    from fiftyone.server.routes.media import Media

    class Drawn(Media):
        async def get(self, request: Request) -> Response:
            asked = Path(request.query_params.get("filepath", ""))
            if (image := await run_in_threadpool(no_file, asked)) is not None:
                return Response(image, media_type="image/png")
            return await super().get(request)

    def home(_: Request) -> Response:
        return RedirectResponse(address)

    fiftyone.config.plugins_dir = str(plugins(Path(fiftyone.config.plugins_dir)))
    app.router.routes[:0] = [Route("/", home), Route("/media", Drawn)]
    start_server(port, "127.0.0.1")


def no_file(path: Path) -> bytes | None:
    """The PNG that is asked for by this path where it is drawn (`preview`) or packed; None where it may be a file."""
    if (mask := preview.drawn(path)) is not None:
        return mask
    return read(path) if not path.exists() and exists(path) else None


def plugins(own: Path) -> Path:
    """A folder that leads to salvoc's plugin and to the user's own: FiftyOne looks into one folder alone."""
    with new_folder(PLUGINS) as folder:
        (folder / "salvoc").symlink_to(Path(__file__).parent / "plugin")
        if own.is_dir():
            (folder / "own").symlink_to(own.absolute())
    return PLUGINS.absolute()


if __name__ == "__main__":
    os.chdir(sys.argv[3])
    serve(sys.argv[1], int(sys.argv[2]))
