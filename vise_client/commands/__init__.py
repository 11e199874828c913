"""The commands of `vise`, a module a group. Imports happen inside the commands, so that `vise --help` answers at once."""
