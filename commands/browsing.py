"""Looking at results in FiftyOne: in the project's own App, and in a user's own FiftyOne."""

import contextlib
import shlex
from typing import Annotated

import typer

from commands.around import PANEL
from toolkit import places
from toolkit.errors import BadInput, Problem
from toolkit.places import needs
from toolkit.shards import packed

app = typer.Typer()


@app.command("app", rich_help_panel=PANEL)
def open_app(
    port: Annotated[int, typer.Option(min=1024, max=65535, help="Where the App listens, on 127.0.0.1 only.")] = 5151,
    rev: Annotated[
        list[str] | None,
        typer.Option(help="A commit, branch, tag or experiment, or `workspace`; two stand side by side."),
    ] = None,
) -> None:
    """Browse images, maps, scores and predictions in the FiftyOne App.

    Its panel Selection previews other thresholds and erase percentages. A revision is read from DVC's cache into
    .salvoc/revisions; nothing in the working tree changes.

    Examples: `salvoc app --port 5152`, `salvoc app --rev main --rev workspace`, `salvoc app --rev exp-a --rev exp-b`
    """
    from toolkit import browse
    from toolkit.browse import beside, revisions

    asked = list(dict.fromkeys(rev or [revisions.WORKSPACE]))
    if len(asked) > 2:
        raise BadInput(Problem("--rev", f"names {len(asked)} revisions", "name one, or two to stand side by side"))
    browse.require_free(port)
    roots = {revision: revisions.checked_out(revision) for revision in asked}
    if revisions.WORKSPACE in asked:
        needs(places.FIFTYONE)
    first = roots[asked[0]]
    browse.project()  # before any revision would connect to one of its own
    if len(asked) == 1:
        dataset = browse.load(first / places.FIFTYONE, "salvoc" if rev is None else asked[0], root=first)
    else:
        dataset = beside.beside(roots)
    address, server = browse.open_app(dataset, port, root=first)
    typer.echo(f"The App is at {address} (Ctrl-C ends it)")
    with contextlib.suppress(KeyboardInterrupt):
        server.wait()


@app.command(rich_help_panel=PANEL)
def fiftyone(
    name: Annotated[str, typer.Argument(help="What the dataset is called there.")] = "salvoc",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a dataset that has this name.")] = False,
) -> None:
    """Put the dataset into your own FiftyOne: FIFTYONE_DATABASE_URI's database, or FiftyOne's own.

    Images and maps stay where they are: do not move the repository. The App's panel Selection is only in `salvoc app`.

    Example: `salvoc fiftyone study-1`
    """
    from toolkit import browse

    needs(places.FIFTYONE)
    count = browse.push(places.FIFTYONE, name, overwrite=overwrite)
    typer.echo(
        f"{count:,} images are in your FiftyOne as {name!r}; `fiftyone app launch {shlex.quote(name)}` opens them"
    )
    if packed(places.FIFTYONE / "fields" / "saliency"):
        typer.echo("Their maps and what variants changed lie in shards, which `salvoc app` alone can show")
