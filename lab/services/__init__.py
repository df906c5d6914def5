"""Small services that log the way real ones do, each in a manner of its own."""
