"""Backbones, heads, published weights, and the files that store trained models."""
