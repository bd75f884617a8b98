"""What Celery's workers go by; `celery -A dagster_celery.app` reads it from the PYTHONPATH."""

import os

broker_url = os.environ["DAGSTER_CELERY_BROKER"]
result_backend = os.environ["DAGSTER_CELERY_BROKER"]

# A worker takes a run when it begins it: what a killed one had taken before would wait an hour.
worker_disable_prefetch = True
worker_prefetch_multiplier = 1

# The pipeline writes a log of its own, a line of JSON for each event.
worker_redirect_stdouts = False

# A process is replaced now and then, so that what a library leaks in it does not add up.
worker_max_tasks_per_child = 50
worker_max_memory_per_child = 1_500_000  # kB
