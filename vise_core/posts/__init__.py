"""The post record, its readers, checks, shards and subsets, and the sample-data generator."""
