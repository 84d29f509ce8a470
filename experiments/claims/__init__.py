"""What is claimed of the path, a file a claim, with its pictures beside it."""
