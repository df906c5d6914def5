"""Whether secrets stay out of what is stored and shown."""
