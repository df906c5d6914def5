"""The operators' screen and HTTP API: one process that shows what is going on, and passes on what people say."""
