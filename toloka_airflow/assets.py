"""
Pools as Airflow assets: ``toloka://<connection id>/pools/<pool id>``.

The connection id is part of the address because production, the sandbox and two accounts each have a pool 21.
Airflow imports this module in all its processes, so it imports next to nothing itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.troubleshooting import argument_error
from toloka_airflow.api.ids import checked_id

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from airflow.providers.common.compat.sdk import Asset, Context

__all__ = ["pool_asset"]

SCHEME = "toloka"
FORM = f"{SCHEME}://<connection id>/pools/<pool id>"


def pool_asset(pool_id: str, *, toloka_conn_id: str = "toloka_default", **arguments: Any) -> Asset:
    """
    Return the asset of a pool.

    :param pool_id: The pool. It must be known when the DAG is read; for a pool that a run creates, make an
        `AssetAlias` the outlet of the task that waits for it.
    :param toloka_conn_id: The Airflow connection to Toloka.

    Further arguments are those of `airflow.sdk.Asset`, such as ``watchers``; the name is the URI by default.
    """
    from airflow.providers.common.compat.sdk import Asset

    return Asset(uri=_pool_uri(pool_id, toloka_conn_id), **arguments)


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """
    Return the one spelling of an asset's URI; Airflow calls it for everything that starts with ``toloka:``.

    :raises ValueError: If it is no address of a pool.
    """
    noun, _, pool_id = uri.path.strip("/").partition("/")
    try:
        if noun != "pools" or uri.query:
            raise ValueError("the path must be that of a pool, without a query")
        _pool_uri(pool_id, uri.netloc)
    except ValueError as exc:
        raise argument_error(f"{uri.geturl()!r} is no asset of a pool, such as {FORM}: {exc}", "assets") from None
    return uri._replace(path=f"/pools/{pool_id}")


def convert_asset_to_openlineage(asset: Asset, lineage_context: Any) -> Any:
    """Return the dataset that a pool is for OpenLineage; its provider calls it."""
    from airflow.providers.common.compat.openlineage.facet import Dataset

    namespace, _, name = asset.uri.partition("/pools/")
    return Dataset(namespace=namespace, name=f"pools/{name}")


def report(
    context: Context, outlets: Iterable[Any], *, pool_id: str, toloka_conn_id: str, facts: Mapping[str, Any]
) -> None:
    """
    Give the asset events of a task the facts of its pool; call it at the end of a task that succeeds.

    Assets among the outlets get the facts as the extra of their event. For every `AssetAlias` an event of the
    pool's own asset is added.

    :param context: The context of the running task.
    :param outlets: The task's ``outlets``.
    :param facts: The result of the task: small JSON values; the pool's id is added.
    :raises ValueError: If an outlet is the asset of another pool; see `check_outlets`.
    """
    outlets = list(outlets)
    check_outlets(outlets, pool_id=pool_id, toloka_conn_id=toloka_conn_id)
    extra = {"pool_id": pool_id, **facts}
    for outlet in outlets:
        event = context["outlet_events"][outlet]
        if _is_alias(outlet):
            event.add(pool_asset(pool_id, toloka_conn_id=toloka_conn_id), extra=extra)
        else:
            event.extra.update(extra)


def check_outlets(outlets: Iterable[Any], *, pool_id: str, toloka_conn_id: str) -> None:
    """
    Check that the outlets of a task can report on its pool, and on no other; call it before the work.

    :raises ValueError: If an outlet is the asset of another pool, or of another account's, or the connection's id fits
        into no URI.
    """
    for outlet in outlets:
        own, uri = _pool_uri(pool_id, toloka_conn_id), getattr(outlet, "uri", None) or ""
        if uri.startswith(f"{SCHEME}://") and uri != own:
            raise ValueError(
                f"outlets has {uri}, but the task is about pool {pool_id} of {toloka_conn_id}; give it the asset of "
                "that pool, or an AssetAlias if the pool is only known when the task runs"
            )


def _pool_uri(pool_id: str, toloka_conn_id: str) -> str:
    try:
        pool_id = checked_id("pool_id", pool_id)
    except ValueError as exc:
        raise argument_error(str(exc), "no-id") from None
    if not re.fullmatch(r"[\w.-]+", toloka_conn_id):
        raise argument_error(
            f"toloka_conn_id is {toloka_conn_id!r}; in the URI of an asset it may only have letters, digits, '_', "
            "'.' and '-'",
            "assets",
        )
    return f"{SCHEME}://{toloka_conn_id}/pools/{pool_id}"


def _is_alias(outlet: Any) -> bool:
    from airflow.providers.common.compat.sdk import AssetAlias

    return isinstance(outlet, AssetAlias)
