"""PostgreSQL, Valkey and `vise up`: the whole system on one machine, with nothing to install."""
