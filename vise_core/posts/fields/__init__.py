"""Field maps: where a source's rows hold the parts of a post, and parsers of comments and reaction counts."""
