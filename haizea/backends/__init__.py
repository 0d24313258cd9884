"""What carries decisions out, and reports what really happened."""
