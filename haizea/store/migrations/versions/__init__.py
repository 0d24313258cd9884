"""One module per step, ``revision_NNNN.py``; a step that was released is not changed."""
