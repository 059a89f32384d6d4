"""salvoc's experiments: detectors fine-tuned on the toolkit's variants, what they predict, scored and reported."""

import toolkit  # noqa: F401 (it sets what libraries compute with, before they are imported)
