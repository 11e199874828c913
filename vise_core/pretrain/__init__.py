"""Pretraining on pseudo-labels (Sec. 3.3): data, objective, schedule, training loop, exact resume."""
