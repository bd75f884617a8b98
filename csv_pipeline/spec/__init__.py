"""What a feed is: its contract, columns, names and policies."""
