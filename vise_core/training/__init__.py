"""What pretraining and fine-tuning share: precision, device, processes, saved state, schedule, meters."""
