"""numpy, or an error that says how to install it: ``from toloka_airflow.quality.numeric import np``."""

try:
    import numpy as np
except ImportError as exc:
    raise ImportError(
        f"The quality of answers is reckoned by numpy: pip install 'airflow-toloka[quality]' ({exc})"
    ) from exc

__all__ = ["np"]
