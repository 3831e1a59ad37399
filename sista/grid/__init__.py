"""What is compared, and which runs that makes. No torch."""
