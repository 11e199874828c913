"""The paper's own numbers as data, each with its table, row and column. Show them only as *published*."""

from .figures import FIGURES, published_figure
from .figures.qualitative import (
    QUALITATIVE,
    PublishedAnswer,
    PublishedExample,
    PublishedQualitative,
    published_qualitative,
)
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
    "QUALITATIVE",
    "TABLES",
    "Erratum",
    "Facts",
    "Place",
    "PublishedAnswer",
    "PublishedCell",
    "PublishedColumn",
    "PublishedExample",
    "PublishedFigure",
    "PublishedPanel",
    "PublishedPoint",
    "PublishedQualitative",
    "PublishedRow",
    "PublishedTable",
    "TrainingSchedule",
    "published",
    "published_figure",
    "published_qualitative",
]
