"""Every image with its boxes, attention, saliency, predictions, scores and decision, in FiftyOne.

A sample's fields: `fields`; the groups' slices: `run`.
"""

from toolkit.browse.database import connect, load, project, push
from toolkit.browse.dataset import build
from toolkit.browse.run import Arm, Run
from toolkit.browse.samples import voc_sample
from toolkit.browse.server import open_app, require_free

__all__ = ["Arm", "Run", "build", "connect", "load", "open_app", "project", "push", "require_free", "voc_sample"]
