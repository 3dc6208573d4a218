"""What is known, in words and numbers that a person reads: one way to say each thing."""
