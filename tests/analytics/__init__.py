"""The event log: writer, compaction, views, verify, replay, why."""
