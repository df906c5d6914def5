"""From what producers send to slices: sniffing, service identity, time, severity, patterns, redaction."""
