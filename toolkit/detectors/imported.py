"""Libraries that change the process when they are imported: what they change is put back."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import torch
from PIL import Image

OURS = {"YOLO_OFFLINE": "true", "YOLO_VERBOSE": "false"}  # ultralytics looks up no host, sends nothing, prints nothing
REPLACED = ((torch, ("save",)), (Image, ("open",)), (cv2, ("imread", "imwrite", "imshow")))


@contextmanager
def unchanged() -> Iterator[None]:
    """Leave the process as it was before the block, within which ultralytics is imported.

    It sets OMP_NUM_THREADS (which is in the key of all that a CPU computes) and other variables, OpenCV's threads, how
    numbers are printed and which warnings are, and puts functions of its own in the place of torch's, Pillow's and, on
    Windows, OpenCV's: Pillow's `open` would ask to install packages where a file is no image.
    """
    environment, threads = dict(os.environ), cv2.getNumThreads()
    replaced = [(module, name, getattr(module, name)) for module, names in REPLACED for name in names]
    printed = vars(torch._tensor_str.PRINT_OPTS).copy()
    os.environ.update(OURS)
    try:
        with warnings.catch_warnings(), np.printoptions():
            yield
    finally:
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)
        torch.set_printoptions(**printed)
        for module, name, function in replaced:
            setattr(module, name, function)
        cv2.setNumThreads(threads)
