"""Where everything lies, from the repository's root; each stage's outputs in the order of the stages."""

from pathlib import Path

from toolkit.errors import BadInput, Problem

PARAMS, PRESETS = Path("params.yaml"), Path("presets")
DATASETS, REPORTS = Path("datasets"), Path("reports")
HUMAN = DATASETS / "human"  # where people put attention of their own

SOURCE = DATASETS / "source"
SAMPLE_BASE = DATASETS / "base.safetensors"
BASE = DATASETS / "base"
BASE_WEIGHTS = BASE / "weights.safetensors"  # of the detector that saliency and every arm start from
ATTENTION = DATASETS / "attention"
SALIENCY = DATASETS / "saliency"
AGREEMENT = DATASETS / "agreement.parquet"
SELECTION = DATASETS / "selection.parquet"
# in each of these a folder an arm
VARIANTS = DATASETS / "variants"
ARMS, CURVES = DATASETS / "arms", REPORTS / "training"
PREDICTIONS, HEATMAPS = DATASETS / "predictions", DATASETS / "heatmaps"  # what an arm finds, and where it looks
SCORES, METRICS = REPORTS / "scores", REPORTS / "metrics"  # METRICS: ARM.json

FAITHFULNESS = REPORTS / "faithfulness"  # whether the base detector's map is true
STUDY = REPORTS / "study"
FIFTYONE = DATASETS / "fiftyone"

COMPARED, DETECTORS = DATASETS / "study", REPORTS / "detectors"  # detectors compared with people: `salvoc study`

SWEEP = REPORTS / "sweep"  # what `salvoc sweep` finds
GAZE = REPORTS / "gaze"  # what `salvoc gaze evaluate` finds


def needs(*paths: Path) -> None:
    """Refuse to begin without what earlier stages leave."""
    mend = "`dvc repro` makes it, `dvc pull` fetches it"
    missing = [Problem(str(path), "does not exist yet", mend) for path in paths if not path.exists()]
    if missing:
        raise BadInput(missing)
