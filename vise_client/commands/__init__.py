"""The commands of `vise`. Slow imports are inside the commands, so that `vise --help` starts fast."""
