"""The rules of invoicing: asking (`requests`), splitting (`splitting`), the life of a part (`parts`). Values in, values out."""
