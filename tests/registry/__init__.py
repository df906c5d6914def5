"""Confluent's records and the registry that knows their schemas."""
