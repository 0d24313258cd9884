"""How the tables of a store are made and changed, step by step (Alembic)."""
