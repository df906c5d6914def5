"""Stand-ins for programs that few machines have at hand; the lab's tables mark what relies on them."""
