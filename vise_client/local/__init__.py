"""What `vise up` starts on one machine."""
