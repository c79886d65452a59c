"""What people read: tables for the terminal, a Markdown report of a conversion."""
