"""What producers wrap lines in: one module for each format, and one dispatch that tells them apart record by record."""
