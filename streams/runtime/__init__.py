"""What hosts the stages: broker, transport, producer, snapshots, supervisor, watchdog."""
