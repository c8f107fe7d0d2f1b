"""What makes a stronger target of pairs."""
