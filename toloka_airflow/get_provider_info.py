"""What Airflow shows of this provider; data only, so that Airflow can read it without importing anything."""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata, as `airflow/provider_info.schema.json` describes it."""
    return {
        "package-name": "airflow-toloka",
        "name": "Toloka",
        "description": "Label data with Toloka: create, upload, open, wait, close, review, download; a local Toloka.",
        "integrations": [
            {"integration-name": "Toloka", "external-doc-url": "https://toloka.ai/docs/api/", "tags": ["service"]}
        ],
        "operators": [
            {
                "integration-name": "Toloka",
                "python-modules": [
                    "toloka_airflow.operators.aggregation",
                    "toloka_airflow.operators.answer_aggregation",
                    "toloka_airflow.operators.assignments",
                    "toloka_airflow.operators.attachments",
                    "toloka_airflow.operators.bonuses",
                    "toloka_airflow.operators.calls",
                    "toloka_airflow.operators.estimates",
                    "toloka_airflow.operators.labelling_rounds",
                    "toloka_airflow.operators.lifecycle",
                    "toloka_airflow.operators.overlap",
                    "toloka_airflow.operators.pools",
                    "toloka_airflow.operators.projects",
                    "toloka_airflow.operators.quality",
                    "toloka_airflow.operators.quality_report",
                    "toloka_airflow.operators.restrictions",
                    "toloka_airflow.operators.skills",
                    "toloka_airflow.operators.tasks",
                    "toloka_airflow.operators.updates",
                    "toloka_airflow.operators.window_teardowns",
                    "toloka_airflow.operators.windows",
                ],
            }
        ],
        "sensors": [{"integration-name": "Toloka", "python-modules": ["toloka_airflow.sensors"]}],
        "triggers": [{"integration-name": "Toloka", "python-modules": ["toloka_airflow.triggers"]}],
        "extra-links": ["toloka_airflow.links.ReportLink", "toloka_airflow.links.TolokaLink"],
        "asset-uris": [
            {
                "schemes": ["toloka"],
                "handler": "toloka_airflow.assets.sanitize_uri",
                "factory": "toloka_airflow.assets.pool_asset",
                "to_openlineage_converter": "toloka_airflow.assets.convert_asset_to_openlineage",
            }
        ],
        "connection-types": [
            {
                "connection-type": "toloka",
                "hook-class-name": "toloka_airflow.hooks.TolokaHook",
                "hook-name": "Toloka",
                "ui-field-behaviour": {
                    "hidden-fields": ["login", "port", "schema"],
                    "relabeling": {"password": "API token", "host": "Base URL"},
                    "placeholders": {
                        "password": "OAuth token or API key",
                        "host": "empty for Toloka itself; wins over the environment",
                    },
                },
                "conn-fields": {
                    "environment": {
                        "label": "Environment",
                        "description": "production is toloka.dev, yandex_tasks is tasks.yandex.ru; "
                        "sandbox: no longer offered by Toloka since 1 July 2024, rehearse with the emulator",
                        "schema": {
                            "type": ["string", "null"],
                            "enum": ["production", "sandbox", "yandex_tasks"],
                            "default": "production",
                        },
                    },
                    "auth_scheme": {
                        "label": "Authorization scheme",
                        "description": "auto chooses by the shape of the token",
                        "schema": {
                            "type": ["string", "null"],
                            "enum": ["auto", "OAuth", "ApiKey"],
                            "default": "auto",
                        },
                    },
                    "account_id": {
                        "label": "Account id",
                        "description": "Requester to act for, if access is shared",
                        "schema": {"type": ["string", "null"]},
                    },
                    "timeout": {
                        "label": "Timeout",
                        "description": "Seconds to wait for each part of an answer; for all of it, twice as many",
                        "schema": {"type": ["integer", "null"], "default": 60},
                    },
                    "verify": {
                        "label": "Verify certificates",
                        "description": "true, false, or the path of a CA bundle",
                        "schema": {"type": ["string", "null"], "default": "true"},
                    },
                    "proxies": {
                        "label": "Proxy",
                        "description": "Address of a proxy, or JSON with an address per scheme",
                        "schema": {"type": ["string", "null"]},
                    },
                    "allow_http": {
                        "label": "Allow plain http",
                        "description": "Let the token travel unencrypted to another machine",
                        "schema": {"type": ["boolean", "null"], "default": False},
                    },
                },
            }
        ],
        "config": {
            "toloka": {
                "description": "Options of the Toloka provider.",
                "options": {
                    "check_config": {
                        "description": (
                            "Whether operators check their configuration when the DAG is parsed, where a mistake is an "
                            "import error of the DAG, and before it is sent, unless they say so themselves."
                        ),
                        "version_added": "0.1.0",
                        "type": "boolean",
                        "example": "False",
                        "default": "True",
                    },
                    "defer_after": {
                        "description": (
                            "Seconds for which a deferrable task waits for an operation of Toloka in the worker before "
                            "it is deferred. Most operations take seconds, and a task that resumes while Airflow still "
                            "handles its deferral may lose an attempt. 0 defers at once."
                        ),
                        "version_added": "0.1.0",
                        "type": "float",
                        "example": "0",
                        "default": "5",
                    },
                    "statistics_interval": {
                        "description": (
                            "Seconds between two reports of gauges to Airflow's statistics, by triggerers and for each "
                            "connection; each report requests the balance and the list of open pools from Toloka."
                        ),
                        "version_added": "0.1.0",
                        "type": "float",
                        "example": "300",
                        "default": "60",
                    },
                    "statistics_pool_ids": {
                        "description": (
                            "Whether triggerers report gauges of pools for each pool, with its id as a tag, instead of "
                            "for all pools of a connection together. Each pool is a series of its own then."
                        ),
                        "version_added": "0.1.0",
                        "type": "boolean",
                        "example": "True",
                        "default": "False",
                    },
                    "namespace": {
                        "description": "Distinguishes this Airflow from another with the same DAGs and Toloka account.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "staging",
                        "default": "",
                    },
                },
            }
        },
    }
