"""Pretraining on pseudo-labels (Sec. 3.3) or, with MoCo-v2, on images alone (App. B, Table 5)."""
