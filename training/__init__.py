"""salvoc's experiments: detectors fine-tuned on the toolkit's variants, evaluated and reported."""

import toolkit  # noqa: F401 (it sets how torch's threads wait, before torch is imported)
