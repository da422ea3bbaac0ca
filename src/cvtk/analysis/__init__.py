"""What an evaluation means: errors object by object, how sure its numbers are, and a report for people."""
