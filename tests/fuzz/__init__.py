"""Fuzzing: records that nobody should send, cut as detect cuts them, each one accounted for and none slow."""
