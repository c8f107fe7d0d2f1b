"""Applications: data that says what is played, trained and measured."""
