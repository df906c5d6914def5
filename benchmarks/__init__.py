"""Benchmarks that anyone can repeat: each is a module to run, with its generator beside it."""
