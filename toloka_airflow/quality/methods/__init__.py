"""Methods that make one label for each task out of the votes of several people; numpy only."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from toloka_airflow.quality.methods.calibrated import dawid_skene_map
from toloka_airflow.quality.methods.dawid_skene import dawid_skene
from toloka_airflow.quality.methods.votes import Aggregation, Votes
from toloka_airflow.quality.methods.voting import majority_vote, weighted_vote

DEFAULT_METHOD = "dawid_skene_map"
METHODS: Mapping[str, Callable[..., Aggregation]] = MappingProxyType(
    {
        "majority_vote": majority_vote,
        "weighted_vote": weighted_vote,
        "dawid_skene": dawid_skene,
        "dawid_skene_map": dawid_skene_map,
    }
)
"""The methods by the names that users give; `weighted_vote` and `dawid_skene_map` take the known labels, too."""

__all__ = [
    "DEFAULT_METHOD",
    "METHODS",
    "Aggregation",
    "Votes",
    "dawid_skene",
    "dawid_skene_map",
    "majority_vote",
    "weighted_vote",
]
