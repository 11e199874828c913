"""Backbones, heads, published weights, and the files that trained models travel in."""
