"""Ultralytics' YOLOv5s with the head of YOLOv8, which its authors call YOLOv5su."""

from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

import torch
from torch import Tensor

from toolkit.detectors.imported import unchanged
from toolkit.detectors.published import cannot_be_had, checkpoints
from toolkit.detectors.ultralytics import Ultralytics
from toolkit.voc import voc_name

with unchanged():
    from ultralytics.nn.tasks import torch_safe_load
    from ultralytics.utils import ROOT

MODEL = (ROOT / "cfg" / "models" / "v5" / "yolov5.yaml").read_text("utf-8") + "\nscale: s\n"


@dataclass(frozen=True)
class Assets:
    """ultralytics' own: a pickle of the whole model, of which its loader makes the classes that it knows alone."""

    url: str

    def file(self) -> Path:
        return checkpoints() / Path(self.url).name

    def load(self) -> tuple[dict[str, Tensor], list[str]]:
        file = self.file()
        allowed = torch.serialization.get_safe_globals()
        try:
            if not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                torch.hub.download_url_to_file(self.url, str(file))
            stored, _ = torch_safe_load(file, safe_only=True)
            model = stored.get("ema") or stored["model"]
            return model.float().state_dict(), [voc_name(name) for _, name in sorted(model.names.items())]
        except (URLError, OSError, TypeError, KeyError, AttributeError, RuntimeError) as error:
            raise cannot_be_had(self, error) from None
        finally:  # its loader allows its classes to all that reads weights only from now on
            torch.serialization.clear_safe_globals()
            torch.serialization.add_safe_globals(allowed)


class YOLOv5s(Ultralytics):
    """One of the study's seven, whose YOLOv5s had anchors: that one's weights are not for this head."""

    described = ""
    layer = "model.9"  # SPPF, the last of the backbone; the study explained the last layers before the head
    joined = "model.17+model.20+model.23"  # the levels that the head sees
    stages = ("model.4", "model.6", "model.9", "model.17", "model.20", "model.23")
    licence = "AGPL-3.0 (ultralytics, and its weights, which are trained on COCO)"
    coco = Assets("https://github.com/ultralytics/assets/releases/download/v8.3.0/yolov5su.pt")

    def __init__(self, classes: int, size: int) -> None:
        """`size`: images are scaled so that their longer side has this many pixels."""
        super().__init__(classes, size, MODEL)
