"""Downstream protocols: linear and fine-tuned, grid, metrics, sensitivity (Sec. 4.2, 5.2, App. C.3)."""
