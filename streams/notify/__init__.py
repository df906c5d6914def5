"""People are told: of what waits for them, by e-mail, webhooks and GitHub issues."""
