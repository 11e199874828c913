"""The paper's own numbers as data, each with its table, row and column. Show them only as *published*."""

from .figures import FIGURES, published_figure
from .records import (
    Erratum,
    Facts,
    Place,
    PublishedCell,
    PublishedColumn,
    PublishedFigure,
    PublishedPanel,
    PublishedPoint,
    PublishedRow,
    PublishedTable,
    TrainingSchedule,
)
from .tables import TABLES, published

__all__ = [
    "FIGURES",
    "TABLES",
    "Erratum",
    "Facts",
    "Place",
    "PublishedCell",
    "PublishedColumn",
    "PublishedFigure",
    "PublishedPanel",
    "PublishedPoint",
    "PublishedRow",
    "PublishedTable",
    "TrainingSchedule",
    "published",
    "published_figure",
]
