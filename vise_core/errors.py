"""All errors that VisE Studio raises. Every message names what is wrong and says what to do."""


class ViseError(Exception):
    """Base class of all errors of VisE Studio."""


class BadInput(ViseError):
    """Data, a file or a field from the user cannot be used."""


class BadImage(BadInput):
    """An image cannot be used. ``reason`` is a stable slug by which reports count such images."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class BadCheckpoint(BadInput):
    """A weights or checkpoint file is damaged, incomplete or of another kind."""


class Diverged(BadInput):
    """The loss or weights of a training are no longer finite, so it has no result."""


class MissingInput(BadInput):
    """A stage was started without an input that it needs."""


class InputChanged(BadInput):
    """A file of an input changed, appeared or vanished while the stage ran, so the result is discarded."""


class OtherRun(BadInput):
    """The workspace belongs to another run: another stage, spec or input, or a state of another format."""


class WorkerKilled(ViseError):
    """Some parts of the data kill every process that works on them; the message names the parts."""


class ClusterLost(ViseError):
    """The cluster that computes for a stage does not answer. The stage may be run again, and goes on from its state."""


class Stopped(ViseError):
    """The stage was stopped; it can be resumed from its saved state."""
