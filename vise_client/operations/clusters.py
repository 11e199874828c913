"""Operations on comment and reaction clusters."""

from __future__ import annotations

from ..operation import Id, get
from ..schemas.clusters import ClusterDetail, ClusterKind, ClusterPage, ClusterPoints, ExplorerView


class ClusterOperations:
    """Read the clusters that the stage explore has described."""

    @get("/explorers")
    def explorers(self, *, limit: int = 20) -> list[ExplorerView]:
        """Return the explorers (artifacts of succeeded explore runs), newest first."""

    @get("/explorers/{artifact_id}")
    def explorer(self, artifact_id: Id) -> ExplorerView:
        """Return an explorer."""

    @get("/explorers/{artifact_id}/{kind}")
    def clusters(
        self,
        artifact_id: Id,
        kind: ClusterKind,
        *,
        search: str = "",
        sort: str | None = None,
        offset: int = 0,
        limit: int = 20,
    ) -> ClusterPage:
        """Return clusters with their terms, comments, reactions and sample posts.

        Args:
            search: words that are all among a cluster's terms or sample comments.
            sort: size, cluster, or the name of a reaction; with ``-`` in front descending. None: the largest first,
                or with ``search`` those whose terms carry most of its words.
        """

    @get("/explorers/{artifact_id}/{kind}/{cluster}")
    def cluster(self, artifact_id: Id, kind: ClusterKind, cluster: int) -> ClusterDetail:
        """Return a cluster, with the clusters of the other kind that occur with it."""

    @get("/explorers/{artifact_id}/{kind}/map")
    def cluster_map(self, artifact_id: Id, kind: ClusterKind, search: str = "") -> ClusterPoints:
        """Return the centroids on their two principal axes; ``search`` as of ``clusters``."""
