"""Two worlds, asked whatever the grammar of requests allows: what is hidden changes no byte of any answer."""
