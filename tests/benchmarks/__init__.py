"""Small versions of the benchmarks: that they count right, never how fast they are."""
