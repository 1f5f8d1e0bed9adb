"""What handling very many small objects needs of Python."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def frozen_heap() -> Iterator[None]:
    """
    Let the garbage collector pass over all objects that are there already.

    Airflow has hundreds of thousands. While much JSON is read, the collector would go through them again and again,
    which takes half as long as the reading itself. What is made meanwhile is collected as always.
    """
    was_frozen = gc.get_freeze_count() > 0
    gc.freeze()
    try:
        yield
    finally:
        # Airflow's executor freezes what there is before it forks; that is to stay so.
        if not was_frozen:
            gc.unfreeze()
