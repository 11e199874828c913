"""Engagement to pseudo-labels: features, clusterers, label creation, cluster inspection (Sec. 3.1, 3.2)."""
