"""How results are shown: plots, tables, and reports in HTML and markdown."""
