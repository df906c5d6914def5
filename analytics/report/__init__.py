"""What the event log teaches of a span of time: ``reading.report`` asks the views, Polars counts, ``told`` holds it."""
