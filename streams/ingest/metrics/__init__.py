"""From what producers send on the ``metrics`` topics to samples of the twelve health metrics."""
