"""
Has a Celery worker import what its tasks need to talk to Toloka, once for all of them.

Tasks run in processes that fork from those of the worker, and a worker loads no plugins. So it has to be configured::

    [celery]
    extra_celery_config = {"imports": ["toloka_airflow.preload"]}

or by a line ``import toloka_airflow.preload``, in ``airflow_local_settings.py`` or in the module that ``[celery]
celery_config_options`` names. Schedulers and all others read such settings, too. In them this module does nothing.
"""

import sys

# The first is there when Celery imports what is named above, the second from the start, when Airflow does.
if "celery.apps.worker" in sys.modules or sys.argv[1:3] == ["celery", "worker"]:
    from toloka_airflow._internal import startup

    startup.prepare_worker()
