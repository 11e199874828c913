"""All operations of the API, in the same modules as ``vise_client.schemas``."""

from .ablations import AblationOperations
from .accounts import AccountOperations
from .artifacts import ArtifactOperations
from .clusters import ClusterOperations
from .datasets import DatasetOperations
from .engagement import EngagementOperations
from .launch import LaunchOperations
from .models import ModelOperations
from .predictions import PredictionOperations
from .removals import RemovalOperations
from .reports import ReportOperations
from .run_lists import RunListOperations
from .runs import RunOperations
from .workers import WorkerOperations


class Operations(
    AccountOperations,
    WorkerOperations,
    DatasetOperations,
    RemovalOperations,
    LaunchOperations,
    RunOperations,
    RunListOperations,
    ArtifactOperations,
    ModelOperations,
    PredictionOperations,
    EngagementOperations,
    ClusterOperations,
    ReportOperations,
    AblationOperations,
):
    """One method for each operation of the API."""
