import pytest

from vise_core.text.encoder import TextEncoder, load_text_encoder
from vise_core.text.files import packaged_encoder


@pytest.fixture(scope="session")
def minilm() -> TextEncoder:
    """The real packaged encoder."""
    return load_text_encoder(packaged_encoder())
