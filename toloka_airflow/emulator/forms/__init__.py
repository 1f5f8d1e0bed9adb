"""What documents may hold, as tables of fields, and how a document is checked against one."""
