"""What a DAG author places in a DAG: a module per noun."""
