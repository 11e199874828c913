"""Operations on artifacts."""

from __future__ import annotations

from ..operation import Id, get
from ..schemas.artifacts import ArtifactFile, ArtifactView


class ArtifactOperations:
    """Read the artifacts of runs."""

    @get("/artifacts/{artifact_id}")
    def artifact(self, artifact_id: Id) -> ArtifactView:
        """Return an artifact's name, size and SHA-256."""

    @get("/artifacts/{artifact_id}/files")
    def artifact_files(self, artifact_id: Id) -> list[ArtifactFile]:
        """Return the files of an artifact."""

    @get("/artifacts/{artifact_id}/content")
    def artifact_content(self, artifact_id: Id, file: str | None = None) -> bytes:
        """Return an artifact's bytes in memory: of a file, of one file of a folder, or of a folder as a tar.

        For large artifacts use ``download``.
        """
