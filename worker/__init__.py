"""Workers: claim runs, hold their leases, run each in a child process; dispatcher; prediction service."""
