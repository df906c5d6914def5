"""The lab: small real services, real faults that break them, and the demo that watches Logmend heal them."""
