"""Dead letters: listed without their secrets, put back once."""
