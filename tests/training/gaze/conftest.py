"""A drawn recording of people's eyes, for both training and scores."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io

from toolkit.attention import recordings
from toolkit.attention.recordings import Recording
from toolkit.files import write
from training.gaze import fit
from training.gaze.fit import View

IMAGES, OBSERVERS, LOOKS = 12, 5, 8
HEIGHT, WIDTH = 96, 128


def make(folder: Path, seed: int) -> Path:
    """A recording laid out as Scene: people look at a red disc on noise, each a little off."""
    rng = np.random.default_rng(seed)
    cells = np.empty((IMAGES, OBSERVERS), object)
    for n in range(IMAGES):
        image = rng.integers(60, 120, (HEIGHT, WIDTH, 3), np.uint8)
        place = rng.uniform((20, 20), (WIDTH - 20, HEIGHT - 20))
        cv2.circle(image, [round(p) for p in place], 9, (40, 40, 230), -1)
        write(folder / "stimuli" / f"{n:02d}.png", cv2.imencode(".png", image)[1].tobytes())
        for observer in range(OBSERVERS):
            points = place + rng.normal(0, 3, (LOOKS, 2))
            cells[n, observer] = np.column_stack([points[:, ::-1], np.zeros((LOOKS, 2))])
    scipy.io.savemat(folder / "fixations.mat", {"fixations": cells})
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("scene"), seed=0)


@pytest.fixture(scope="module")
def recording(folder: Path) -> Recording:
    return recordings.read(folder)


@pytest.fixture
def views(recording: Recording, workplace: Path) -> list[View]:
    return fit.views_of(recording)
