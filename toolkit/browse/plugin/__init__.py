"""A panel of the App: threshold and erase percentage moved, and what would be selected and erased shown at once.

FiftyOne imports this folder by itself, in the server's process (`toolkit.browse.app`), which works in the run's folder.
"""

from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from toolkit import places
from toolkit.browse import preview
from toolkit.browse.run import SOURCE

SEEN = {"container": {"sx": {"& button": {"visibility": "visible !important"}}}}  # the button Copy; else on hover alone
NEEDED = (places.PARAMS, places.AGREEMENT, places.SALIENCY, places.SOURCE)


class Selection(foo.Panel):
    """Sliders for `aug`, the histogram of IoU, the grid set to the selected images, and the command that runs it."""

    @property
    def config(self) -> foo.PanelConfig:
        return foo.PanelConfig(
            name="selection",
            label="Selection",
            icon="tune",
            help_markdown="What `select` and `erasing` would do with other settings. Nothing runs, nothing is kept.",
        )

    def on_load(self, ctx: Any) -> None:
        """Start with params.yaml's settings."""
        if self._hindered(ctx):
            return
        start = preview.settings()
        for knob in preview.KNOBS:
            ctx.panel.set_state(knob, getattr(start, knob))
        ctx.panel.set_state("active_fields", ctx.active_fields)
        self.on_moved(ctx)
        ctx.ops.reload_dataset()
        ctx.ops.set_active_fields(["ground_truth", preview.FIELD])

    def on_moved(self, ctx: Any) -> None:
        """Show the images that would be selected, and what of them would be erased."""
        ctx.ops.set_view(preview.show(ctx.dataset, self._knobs(ctx)))

    def on_unload(self, ctx: Any) -> None:
        """Leave no trace in the dataset."""
        if self._hindered(ctx):
            return
        preview.clear(ctx.dataset)
        ctx.ops.clear_view()
        ctx.ops.reload_dataset()
        ctx.ops.set_active_fields(ctx.panel.get_state("active_fields", []))

    def render(self, ctx: Any) -> types.Property:
        panel = types.Object()
        if hindrance := self._hindered(ctx):
            panel.md(hindrance, name="hindrance")
            return types.Property(panel)
        knobs = self._knobs(ctx)
        rows = preview.selection(knobs)
        slider = {
            "label_position": "top",
            "value_label_display": "off",
            "componentsProps": {"item": {"sx": {"my": -3}}},
        }
        panel.md(preview.told(rows), name="told")
        panel.plot("iou", **preview.histogram(rows, knobs.threshold), height="280px")
        panel.float(
            "threshold",
            label=f"threshold: IoU below {knobs.threshold:g}",
            view=types.SliderView(min=0, max=1, view_multiple_of=0.005, **slider),
            on_change=self.on_moved,
        )
        panel.float(
            "erase_percent",
            label=f"erase_percent: the most salient {knobs.erase_percent:g} % of the pixels",
            view=types.SliderView(min=0.5, max=max(30, knobs.erase_percent), view_multiple_of=0.5, **slider),
            on_change=self.on_moved,
        )
        panel.enum("against", ["known", "human", "gaze"], label="against", on_change=self.on_moved)
        panel.md(f"```bash\n{preview.command(knobs)}\n```", name="command", componentsProps=SEEN)
        return types.Property(panel, view=types.GridView(orientation="vertical", columns=1, gap=1, pad=2))

    def _knobs(self, ctx: Any) -> preview.Knobs:
        return preview.Knobs(**{knob: ctx.panel.get_state(knob) for knob in preview.KNOBS})

    def _hindered(self, ctx: Any) -> str:
        """Why there is nothing to preview here; empty where there is."""
        if SOURCE not in (ctx.dataset.group_slices or ()):
            return "This is of one run alone: `salvoc app`, or `salvoc app --rev` with one revision."
        missing = [str(path) for path in NEEDED if not path.exists()]
        return f"This needs {', '.join(missing)}: `dvc pull` fetches it, `dvc repro` makes it." if missing else ""


def register(plugin: Any) -> None:
    """FiftyOne asks a plugin what it has."""
    plugin.register(Selection)
