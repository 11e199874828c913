"""Telling the broker of a question at once, so that it does not wait for the dispatcher."""

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

    def tell(self, task: str, argument: UUID, queue: str) -> None:
        """One message, or none: who calls has committed what a sweep announces again."""
        try:
            self._celery.send_task(task, args=[str(argument)], queue=queue, ignore_result=True, retry=False)
        except Exception as error:  # of Celery, kombu, the client's library or the system: there are many
            log.warning("the broker does not answer, %s waits for the dispatcher: %s", argument, error)

    @cached_property
    def _celery(self) -> Celery:
        # Imported by who asks first: an API that starts need not wait for it.
        from celery import Celery

        celery = Celery("vise", broker=self._url, set_as_current=False)
        # One try: by default kombu tries for 6 s, and each question would wait for that.
        once = {"max_retries": 1, "interval_start": 0, "interval_step": 0}
        patience = {"socket_connect_timeout": 2, "socket_timeout": 5, "socket_keepalive": True}
        celery.conf.broker_transport_options = once | patience
        return celery
