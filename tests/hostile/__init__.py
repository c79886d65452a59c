"""Files that strangers made to do harm, and valid ones that were damaged.

``make.py`` writes every hostile file by name, ``mutate.py`` damages valid ones, ``test_audit.py`` watches what a
process does that reads them.  Which tests hold which row of the table of threats, ``rows.py`` says.
"""
