"""Readers of the field's file formats. Each checks what it reads and says in one sentence what is wrong with it."""
