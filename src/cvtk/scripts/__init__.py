"""Options -> a rendered script, and what a script needs when it runs."""
