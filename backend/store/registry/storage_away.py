"""Whether a failure of the storage passes: it does not respond, or its disk is full."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from vise_core.errors import ViseError

FULL = {errno.ENOSPC, errno.EDQUOT}
AWAY = {
    *(errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH),
    *(errno.ENETUNREACH, errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE, errno.EBUSY),
    *(errno.EAGAIN, errno.EINTR),
}
CLIENT = {
    *("ConnectionError", "HTTPClientError", "ClientConnectionError"),
    # Where a host's credentials come from may be away too.
    *("NoCredentialsError", "CredentialRetrievalError", "TokenRetrievalError", "MetadataRetrievalError"),
}
"""Names of the classes of a bucket client's errors without a response; importing the client takes half a second."""


class StorageAway(ViseError):
    """The storage does not respond, or a disk is full: the same call may succeed later."""

    def __init__(self, message: str, *, full: bool) -> None:
        super().__init__(message)
        self.full = full


def away(error: BaseException) -> StorageAway | None:
    """Return the failure as a StorageAway if it passes; None for an error that would come again each time."""
    if isinstance(error, StorageAway):
        return error
    number = getattr(error, "errno", None)
    if number in FULL:
        return StorageAway(f"the disk is full ({error})", full=True)
    names = {each.__name__ for each in type(error).__mro__}
    if number in AWAY or isinstance(error, TimeoutError) or names & CLIENT:
        return StorageAway(f"the storage does not respond ({error or type(error).__name__})", full=False)
    return None


@contextmanager
def responding() -> Iterator[None]:
    """Raise StorageAway in place of each error of the block that passes."""
    try:
        yield
    except Exception as error:
        if (passes := away(error)) is not None:
            raise passes from error
        raise
