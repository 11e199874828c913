"""Publishes predictions to the broker at once, so that they do not wait for the dispatcher."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from celery import Celery

log = logging.getLogger("vise.broker")


class Broker:
    """Publishes to Celery's queues. Its methods may be called from several threads at once."""

    def __init__(self, url: str) -> None:
        self._url = url

    def publish(self, task: str, argument: UUID, queue: str) -> None:
        """Publish one message. A failure is only logged: the reconciler republishes what no worker has claimed."""
        try:
            self._celery.send_task(task, args=[str(argument)], queue=queue, ignore_result=True, retry=False)
        except Exception as error:  # Celery, kombu and the client library have no common base class
            log.warning("the broker does not respond, %s waits for the dispatcher: %s", argument, error)

    @cached_property
    def _celery(self) -> Celery:
        # Imported by the first request, so that the API starts without it.
        from celery import Celery

        celery = Celery("vise", broker=self._url, set_as_current=False)
        # One try: by default kombu tries for 6 s, and each request would wait for that.
        retries = {"max_retries": 1, "interval_start": 0, "interval_step": 0}
        # The request waits for two such times at most; a lost message is published again by the dispatcher.
        timeouts = {"socket_connect_timeout": 1, "socket_timeout": 1, "socket_keepalive": True}
        celery.conf.broker_transport_options = retries | timeouts
        return celery
