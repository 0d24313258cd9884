"""Steps by which the tables of a store are made and changed (Alembic)."""
